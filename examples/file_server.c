/* Serves the files of a folder over HTTP on this machine, with libuv: what a connection needs is
 * allocated where it is needed, by callbacks on the loop's thread and by work on libuv's threads,
 * and all of it belongs to a task. However the connection ends, the end of its task is the one
 * place that frees memory and closes the file.
 *
 *     file_server FOLDER [COUNT]      ends after COUNT connections; 0 or none: when interrupted
 *
 * Prints the port that it got, and at the end what was served and what memory that took. */
#define _GNU_SOURCE
#include "fa/fa.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum { REQUEST_BYTES = 4096, PIECE_BYTES = 65536, BACKLOG = 64 };

typedef struct server {
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_signal_t interrupts;
    fa_allocator *memory;
    const char *folder;
    size_t count_max, accepted, closed, served, missing, dropped;
} server;

/* What parse() finds: made of pool objects, by code that knows of no task. */
typedef struct request {
    char *method, *name;
} request;

/* Lies in the memory of its own task. Nobody but the operation that is under way touches it. */
typedef struct connection {
    uv_tcp_t socket; /* first: libuv gives its address back */
    uv_work_t work;
    uv_write_t write;
    server *of;
    fa_task task;
    request *asked;
    char *text; /* of the request, as far as it has come */
    size_t text_bytes;
    int file; /* -1: there is none */
    size_t size, sent;
    char *piece; /* being read, or on its way out */
    size_t piece_bytes;
} connection;

static void serve_next(connection *c);

/* ---- the end of a connection ---- */

static void stop(server *s) {
    if (!uv_is_closing((uv_handle_t *)&s->listener))
        uv_close((uv_handle_t *)&s->listener, NULL);
    if (!uv_is_closing((uv_handle_t *)&s->interrupts))
        uv_close((uv_handle_t *)&s->interrupts, NULL);
}

static void on_closed(uv_handle_t *handle) {
    const connection *c = (const connection *)handle;
    server *s = c->of;
    (void)fa_task_end(c->task); /* closes the file; *c is gone */
    if (++s->closed == s->count_max)
        stop(s);
}

static void finish(connection *c, size_t *counter) {
    ++*counter;
    uv_close((uv_handle_t *)&c->socket, on_closed);
}

static void close_file(void *file) { (void)close((int)(intptr_t)file); }

/* ---- the answer ---- */

static void on_piece_written(uv_write_t *write, int status) {
    connection *c = (connection *)write->data;
    (void)fa_task_free(c->task, c->piece); /* was allocated on another thread */
    c->piece = NULL;
    if (status != 0)
        finish(c, &c->of->dropped); /* who asked has hung up */
    else if (c->sent == c->size)
        finish(c, c->file < 0 ? &c->of->missing : &c->of->served);
    else
        serve_next(c);
}

static void write_piece(connection *c) {
    uv_buf_t buffer = uv_buf_init(c->piece, (unsigned)c->piece_bytes);
    c->write.data = fa_task_carry(c->task, c); /* c lives until then: frame memory would not */
    if (uv_write(&c->write, (uv_stream_t *)&c->socket, &buffer, 1, on_piece_written) != 0)
        finish(c, &c->of->dropped);
}

/* On a thread of libuv. */
static void read_piece(uv_work_t *work) {
    connection *c = (connection *)work->data;
    size_t rest = c->size - c->sent;
    c->piece_bytes = rest < PIECE_BYTES ? rest : PIECE_BYTES;
    c->piece = (char *)fa_task_alloc(c->task, c->piece_bytes);
    for (size_t done = 0; c->piece != NULL && done < c->piece_bytes;) {
        ssize_t more =
            pread(c->file, c->piece + done, c->piece_bytes - done, (off_t)(c->sent + done));
        if (more <= 0) { /* it was cut meanwhile */
            (void)fa_task_free(c->task, c->piece);
            c->piece = NULL;
            break;
        }
        done += (size_t)more;
    }
}

static void on_piece_read(uv_work_t *work, int status) {
    connection *c = (connection *)work->data;
    if (status != 0 || c->piece == NULL) {
        finish(c, &c->of->dropped);
        return;
    }
    c->sent += c->piece_bytes;
    write_piece(c);
}

static void serve_next(connection *c) {
    if (uv_queue_work(&c->of->loop, &c->work, read_piece, on_piece_read) != 0)
        finish(c, &c->of->dropped);
}

/* On a thread of libuv. The path is needed here only: it is frame memory of this thread. */
static void open_file(uv_work_t *work) {
    connection *c = (connection *)work->data;
    fa_frame_scope(c->of->memory, frame);
    const request *asked = c->asked;
    struct stat about;
    if (frame == NULL || strcmp(asked->method, "GET") != 0 || asked->name[0] == '.' ||
        strchr(asked->name, '/') != NULL)
        return;
    fa_text path = fa_text_make_in(frame, 0);
    if (fa_text_format(&path, "%s/%s", c->of->folder, asked->name) != FA_OK)
        return;
    int file = open(fa_text_c_str(&path), O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode) ||
        fa_task_defer(c->task, close_file, (void *)(intptr_t)file) != FA_OK) {
        (void)close(file);
        return;
    }
    c->file = file;
    c->size = (size_t)about.st_size;
}

static void on_file_opened(uv_work_t *work, int status) {
    connection *c = (connection *)work->data;
    char head[128];
    int bytes = snprintf(head, sizeof head, "HTTP/1.0 %s\r\nContent-Length: %zu\r\n\r\n",
                         c->file < 0 ? "404 Not Found" : "200 OK", c->size);
    c->piece = status == 0 ? (char *)fa_task_copy(c->task, head, (size_t)bytes) : NULL;
    c->piece_bytes = (size_t)bytes;
    if (c->piece != NULL)
        write_piece(c);
    else
        finish(c, &c->of->dropped);
}

/* ---- the question ---- */

static char *copy(fa_allocator *memory, const char *text, size_t bytes) {
    char *copied = (char *)fa_pool_alloc(memory, bytes + 1);
    if (copied != NULL) {
        memcpy(copied, text, bytes);
        copied[bytes] = '\0';
    }
    return copied;
}

/* "GET /name HTTP/1.0": NULL when it is nothing like that, or there is no memory. It does not clean
 * up: whoever calls it knows better what to do with all that it allocates. */
static request *parse(fa_allocator *memory, const char *text) {
    size_t method_bytes = strcspn(text, " \r\n");
    const char *name = text + method_bytes;
    if (strncmp(name, " /", 2) != 0)
        return NULL;
    request *parsed = fa_pool_new(memory, request);
    if (parsed == NULL)
        return NULL;
    parsed->method = copy(memory, text, method_bytes);
    parsed->name = copy(memory, name + 2, strcspn(name + 2, " \r\n"));
    return parsed->method != NULL && parsed->name != NULL ? parsed : NULL;
}

static void answer(connection *c) {
    (void)uv_read_stop((uv_stream_t *)&c->socket);
    {
        fa_task_capture_scope(c->task, capture); /* what parse() allocates goes with the task */
        c->asked = capture.status == FA_OK ? parse(c->of->memory, c->text) : NULL;
    }
    c->work.data = fa_task_carry(c->task, c);
    if (c->asked == NULL || uv_queue_work(&c->of->loop, &c->work, open_file, on_file_opened) != 0)
        finish(c, &c->of->dropped);
}

static void on_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    connection *c = (connection *)handle;
    (void)suggested;
    size_t room = REQUEST_BYTES - c->text_bytes; /* one byte is kept for the terminator */
    *buffer = uv_buf_init(c->text + c->text_bytes, (unsigned)room);
}

static void on_text(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *buffer) {
    connection *c = (connection *)stream;
    (void)buffer;
    if (bytes < 0) { /* also where the request is too long: then the buffer has no room */
        finish(c, &c->of->dropped);
        return;
    }
    c->text_bytes += (size_t)bytes;
    c->text[c->text_bytes] = '\0';
    if (strstr(c->text, "\r\n\r\n") != NULL)
        answer(c);
}

static void on_connection(uv_stream_t *listener, int status) {
    server *s = (server *)listener->data;
    if (status != 0)
        return;
    fa_task task = fa_task_begin(s->memory, "connection");
    connection *c = (connection *)fa_task_alloc_zeroed(task, 1, sizeof *c);
    char *text = c ? (char *)fa_task_alloc(task, REQUEST_BYTES + 1) : NULL;
    if (text == NULL || uv_tcp_init(&s->loop, &c->socket) != 0) {
        (void)fa_task_end(task); /* all of it, or what there is */
        return;
    }
    c->of = s;
    c->task = task;
    c->text = text;
    c->file = -1;
    s->accepted++;
    if (uv_accept(listener, (uv_stream_t *)&c->socket) != 0 ||
        uv_read_start((uv_stream_t *)&c->socket, on_buffer, on_text) != 0)
        finish(c, &s->dropped);
}

/* ---- the server ---- */

static void on_interrupt(uv_signal_t *interrupts, int number) {
    (void)number;
    stop((server *)interrupts->data);
}

static bool begin(server *s) {
    struct sockaddr_in address;
    struct sockaddr_storage got;
    int got_bytes = sizeof got;
    s->listener.data = s->interrupts.data = s;
    if (uv_loop_init(&s->loop) != 0 || uv_tcp_init(&s->loop, &s->listener) != 0 ||
        uv_signal_init(&s->loop, &s->interrupts) != 0 ||
        uv_signal_start(&s->interrupts, on_interrupt, SIGINT) != 0 ||
        uv_ip4_addr("127.0.0.1", 0, &address) != 0 ||
        uv_tcp_bind(&s->listener, (const struct sockaddr *)&address, 0) != 0 ||
        uv_listen((uv_stream_t *)&s->listener, BACKLOG, on_connection) != 0 ||
        uv_tcp_getsockname(&s->listener, (struct sockaddr *)&got, &got_bytes) != 0)
        return false;
    printf("port %d\n", ntohs(((const struct sockaddr_in *)&got)->sin_port));
    return fflush(stdout) == 0;
}

static void report(const server *s) {
    fa_stats stats;
    printf("connections %zu: %zu served, %zu missing, %zu dropped\n", s->accepted, s->served,
           s->missing, s->dropped);
    if (fa_stats_get(s->memory, &stats) == FA_OK)
        printf("memory: %zu tasks left, %zu pool objects and %zu bytes alive; %zu KiB at most\n",
               fa_task_count(s->memory), (size_t)stats.pool_live_count,
               (size_t)stats.pool_live_bytes, (size_t)stats.bytes_held_peak / 1024);
}

int main(int count, char **arguments) {
    server *s = (server *)calloc(1, sizeof *s);
    if (count < 2 || s == NULL || fa_allocator_create(NULL, &s->memory) != FA_OK) {
        fprintf(stderr, "usage: file_server FOLDER [COUNT]\n");
        free(s);
        return 2;
    }
    s->folder = arguments[1];
    s->count_max = count > 2 ? strtoul(arguments[2], NULL, 10) : 0;
    (void)signal(SIGPIPE, SIG_IGN); /* writing to who has hung up is an error like any other */
    bool fine = begin(s);
    if (!fine)
        fprintf(stderr, "file_server: can't listen\n");
    else
        (void)uv_run(&s->loop, UV_RUN_DEFAULT);
    fine = fine && uv_loop_close(&s->loop) == 0;
    report(s);
    size_t alive = fa_allocator_destroy(s->memory);
    free(s);
    return fine && alive == 0 ? 0 : 1;
}
