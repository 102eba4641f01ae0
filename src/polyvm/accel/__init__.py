"""Who can carry out the contract of `polyvm.vcpu`. Importing this costs nothing; `polyvm.accel.choice` chooses."""
