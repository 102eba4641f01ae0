// Cooperative groups of a block.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
namespace cg = cooperative_groups;

extern "C" __global__ void groups(const int *x, int *y) {
    auto block = cg::this_thread_block();
    auto tile = cg::tiled_partition<32>(block);
    int v = x[block.group_index().x * block.size() + block.thread_rank()];
    v = cg::reduce(tile, v, cg::plus<int>());
    block.sync();
    if (tile.thread_rank() == 0) y[blockIdx.x * block.size() / 32 + tile.meta_group_rank()] = v;
}
