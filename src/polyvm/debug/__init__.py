"""Looking into guests: symbols, stacks and crash reports. It never runs guest code."""
