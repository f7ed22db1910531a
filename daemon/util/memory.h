/* Work space of the step path: taken at start-up, zeroed and present, so that no step ever faults. */
#ifndef GYRE_DAEMON_UTIL_MEMORY_H
#define GYRE_DAEMON_UTIL_MEMORY_H

#include <stddef.h>

/* n zeroed elements on their own cache lines, in huge pages where it fills one; free() takes it back. NULL: no memory. */
void *memory_array(size_t n, size_t bytes);

/* Bytes that RLIMIT_AS and RLIMIT_DATA leave this process to map; SIZE_MAX: no limit. */
size_t memory_address_room(void);

/* Zero-filled pages for n elements of what users say, which no core dump has. NULL: no memory. */
void *memory_undumped(size_t n, size_t bytes);
/* NULL does nothing. */
void memory_undumped_free(void *p, size_t n, size_t bytes);

#endif
