/* Start-up: one line of output, nothing else. */
#include <stdio.h>

int main(void)
{
    printf("hello\n");
    return 0;
}
