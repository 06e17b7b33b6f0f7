// reject: .dtype..*(short unsigned int|unsigned short)|(short unsigned int|unsigned short).*.dtype.
// A type that safetensors cannot store.
#include <sfumato/io/dtype.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
constexpr auto dtype = io::dtype_of<unsigned short>();
#else
constexpr auto dtype = io::dtype_of<float>();
#endif
