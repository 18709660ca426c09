/* Lanes as Linux has them: pages that were written to are found in the page table, where the kernel is new enough. */
#include "lanes_cases.h"

int main(void) {
    test_lanes();
    puts("lanes: ok");
    return 0;
}
