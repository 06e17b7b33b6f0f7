// What the umbrella header costs before anything is used.
#include <sfumato/sfumato.hpp>

int main() {}
