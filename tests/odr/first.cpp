#include <sfumato/sfumato.hpp>

int second();

int main() { return second(); }
