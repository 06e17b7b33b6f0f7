// reject: table-rank.*3 == 2|3 == 2.*table-rank
// A table of embeddings with an axis too many.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/embedding.hpp>

using namespace sfumato;

#ifdef SFUMATO_REJECT
using Table = Shape<1, 10, 16>;
#else
using Table = Shape<10, 16>;
#endif
auto f(Count& ctx, const Param<Table>& table, std::span<const int> labels) { return ops::embedding(ctx, table, labels); }
