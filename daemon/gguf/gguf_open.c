/*
 * Reading a file's header. Its length is written nowhere, so a first piece is read and doubled while the parser says -ENODATA.
 * read(2) rather than mmap: a file that is truncated under a mapping is a SIGBUS.
 */
#include "daemon/gguf/gguf_own.h"

#include "daemon/util/readfile.h"

#include <fcntl.h>
#include <sys/stat.h>

static int open_file(int *fdp, uint64_t *file_bytes, const char *path, struct error *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang the daemon */
	struct stat st;

	if (fd < 0)
		return error_set(e, -errno, "cannot open model '%s': %s; check the path and its permissions", path,
				 strerror(errno));
	if (fstat(fd, &st))
		return error_set(e, -errno, "cannot stat model '%s': %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(e, -EINVAL, "model '%s' is not a regular file; give the path of a .gguf file", path);
	*file_bytes = (uint64_t)st.st_size;
	*fdp = steal_fd(&fd);
	return 0;
}

/* Makes data[*have] longer, n bytes of fd's file; fewer only where it ends. */
static int read_on(uint8_t **data, size_t *have, size_t n, int fd, struct error *e)
{
	uint8_t *more = realloc(*data, n + 1);
	size_t got;
	int r;

	if (!more)
		return error_set(e, -ENOMEM, "out of memory reading a GGUF header; free some memory");
	*data = more;
	r = readfile_at(fd, more + *have, n - *have, *have, &got);
	if (r)
		return error_set(e, r, "cannot read the GGUF header: %s", strerror(-r));
	*have += got;
	return 0;
}

static int read_header(struct gguf_header **hp, int fd, uint64_t file_bytes, uint64_t first, uint64_t max,
		       struct error *e)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t have = 0;

	for (uint64_t want = first;; want *= 2) {
		uint64_t most = want < max ? want : max;
		int r = read_on(&data, &have, (size_t)(most < file_bytes ? most : file_bytes), fd, e);

		if (!r)
			r = gguf_header_parse(hp, data, have, file_bytes, e);
		if (!r)
			(*hp)->data = steal_ptr(data);
		if (r == -ENODATA && most >= file_bytes)
			return error_set(
				e, -EINVAL,
				"the header ends past the end of the file: it is truncated; download it again");
		if (r == -ENODATA && want >= max)
			return error_set(e, -EINVAL, "header larger than %u MiB: " DAMAGED, GGUF_HEADER_MAX >> 20);
		if (r != -ENODATA)
			return r;
	}
}

int gguf_header_open(struct gguf_header **hp, const char *path, uint64_t first, uint64_t max, struct error *e)
{
	_cleanup_(gguf_header_freep) struct gguf_header *h = NULL;
	_cleanup_close_ int fd = -1;
	struct error inner;
	uint64_t file_bytes = 0;
	int r = open_file(&fd, &file_bytes, path, e);

	if (r)
		return r;
	/* All of it on its way at once, where a read alone would wait for one window after the other. */
	posix_fadvise(fd, 0, (off_t)first, POSIX_FADV_WILLNEED);
	r = read_header(&h, fd, file_bytes, first, max, &inner);
	if (r)
		return error_set(e, r, "model '%s': %s", path, inner.text);
	h->file.fd = steal_fd(&fd);
	h->file.path = strdup(path);
	if (!h->file.path)
		return error_set(e, -ENOMEM, "out of memory reading a GGUF header; free some memory");
	*hp = steal_ptr(h);
	return 0;
}
