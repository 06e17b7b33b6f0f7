// reject: output-path.*16 .= 20|16 .= 20.*output-path
// A class token wider than the trunk that is to predict its velocity, though the patches are not.
#include <sfumato/flow/objective.hpp>
#include <sfumato/models/sit.hpp>

using namespace sfumato;

template <int Dim> using Model = SiT<ImagePatches<8, 4, 2, 3>, SiTTrunk<16, 6, 2>, ClassToken<Dim>>;

#if defined(SFUMATO_REJECT)
static_assert((FlowObjective<Space::v>::require_sound<Model<20>>(), true));
#else
static_assert((FlowObjective<Space::v>::require_sound<Model<16>>(), true));
#endif
