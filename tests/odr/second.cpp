#include <sfumato/sfumato.hpp>

int second();
int second() { return 0; }
