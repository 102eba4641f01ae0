/* The peer of benchmarks/accel.py: a loop that makes the same ioctls, and serves one port and one address. */
#include <linux/kvm.h>
#include <stdint.h>
#include <sys/ioctl.h>

/* Runs a vCPU until it touches another port; what is written to the first goes to a ring of mask + 1 bytes. */
int64_t run_loop(int fd, struct kvm_run *run, uint8_t *ring, uint64_t mask, uint16_t port, uint64_t address)
{
    int64_t served = 0;
    for (;;) {
        if (ioctl(fd, KVM_RUN, 0) < 0)
            return -1;
        if (run->exit_reason == KVM_EXIT_IO && run->io.port == port && run->io.size == 1 && run->io.direction == KVM_EXIT_IO_OUT)
            ring[served++ & mask] = *((uint8_t *)run + run->io.data_offset);
        else if (run->exit_reason == KVM_EXIT_MMIO && run->mmio.phys_addr == address && run->mmio.is_write)
            ring[served++ & mask] = run->mmio.data[0];
        else
            return served;
    }
}
