/* limits.read of an ISA folder: its read_streams, which this is included after, with the number of streams and whether it fetches ahead
 * as constants. */
#ifndef GYRE_KERNELS_LIMIT_READ_H
#define GYRE_KERNELS_LIMIT_READ_H

static uint64_t limit_read(const void *p, size_t bytes, int n_stream, size_t ahead)
{
	switch (n_stream) {
	case 1:
		return ahead ? read_streams(p, bytes, 1, ahead) : read_streams(p, bytes, 1, 0);
	case 2:
		return ahead ? read_streams(p, bytes / 2, 2, ahead) : read_streams(p, bytes / 2, 2, 0);
	case 4:
		return ahead ? read_streams(p, bytes / 4, 4, ahead) : read_streams(p, bytes / 4, 4, 0);
	default:
		return ahead ? read_streams(p, bytes / 8, 8, ahead) : read_streams(p, bytes / 8, 8, 0);
	}
}

#endif
