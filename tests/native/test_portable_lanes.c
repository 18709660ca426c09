/* Lanes on other systems than Linux: what was written to is mapped anew. */
#define RA_PORTABLE
#include "lanes_cases.h"

int main(void) {
    test_lanes();
    puts("portable lanes: ok");
    return 0;
}
