/*
 * A Lambda bootstrap with nothing behind it: no libc, no headers, only system calls. So it stands for every compiled
 * runtime, is static, and any C compiler can make it (see compiler.py).
 *
 * It answers {"statusCode":200,"body":<event>,"calls":<n>} on one connection that it keeps. An event that contains
 * one of the words below makes it do something else.
 */

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, SOCKET = 41, CONNECT = 42, EXIT = 60 };
__asm__(".globl _start\n_start:\n  mov %rsp, %rdi\n  call run\n");
static long call(long number, long a, long b, long c)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
enum { READ = 63, WRITE = 64, SOCKET = 198, CONNECT = 203, EXIT = 93 };
__asm__(".globl _start\n_start:\n  mov x0, sp\n  bl run\n");
static long call(long number, long a, long b, long c)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
#else
#error "no system calls are known for this machine"
#endif

enum { ROOM = 1 << 16, PADDED = 64 };
static char received[ROOM], sent[ROOM];
static long api;

static long length(const char *text)
{
    long n = 0;
    while (text[n]) n++;
    return n;
}

static void leave(long code)
{
    for (;;) call(EXIT, code, 0, 0);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Returns what follows `word` in `text`, without regard to case; 0 when it is not there. */
static const char *after(const char *text, const char *word)
{
    for (; *text; text++) {
        long n = 0;
        while (word[n] && lower(text[n]) == lower(word[n])) n++;
        if (!word[n]) return text + n;
    }
    return 0;
}

static long number(const char *text)
{
    long n = 0;
    while (*text == ' ') text++;
    while (*text >= '0' && *text <= '9') n = 10 * n + (*text++ - '0');
    return n;
}

static char *put(char *at, const char *text)
{
    while (*text) *at++ = *text++;
    return at;
}

static char *put_number(char *at, long n)
{
    char digits[24];
    int count = 0;
    do digits[count++] = (char)('0' + n % 10); while (n /= 10);
    while (count) *at++ = digits[--count];
    return at;
}

/* Sends a request and returns the body of the answer; the whole answer is then in `received`. */
static char *ask(const char *text, long size)
{
    const char *body = 0;
    long have = 0;
    for (long done = 0; done < size;) {
        long n = call(WRITE, api, (long)text + done, size - done);
        if (n <= 0) leave(21);
        done += n;
    }
    for (;;) {
        long n = call(READ, api, (long)received + have, ROOM - 1 - have);
        if (n <= 0) leave(22);
        have += n;
        received[have] = 0;
        body = after(received, "\r\n\r\n");
        if (body && body + number(after(received, "content-length:")) <= received + have) break;
    }
    return received + (body - received);
}

static void reach(const char *address)
{
    static unsigned char place[16];
    long port = number(after(address, ":"));
    place[0] = 2;
    place[2] = (unsigned char)(port >> 8);
    place[3] = (unsigned char)port;
    place[4] = 127;
    place[7] = 1;
    api = call(SOCKET, 2, 1, 0);
    if (api < 0 || call(CONNECT, api, (long)place, sizeof place) < 0) leave(20);
}

void run(long *stack)
{
    static const char next[] = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: api\r\n\r\n";
    static const char hello[] = "compiled and started\n";
    static char id[64];
    char **environment = (char **)(stack + stack[0] + 2);
    const char *address = 0;
    for (; *environment && !address; environment++) address = after(*environment, "AWS_LAMBDA_RUNTIME_API=");
    if (!address) leave(19);
    reach(address);
    call(WRITE, 1, (long)hello, sizeof hello - 1);
    for (long calls = 1;; calls++) {
        char *event = ask(next, sizeof next - 1), *at, *body;
        const char *from = after(received, "lambda-runtime-aws-request-id:");
        long count = 0;
        while (*from == ' ') from++;
        while (*from != '\r' && count < 63) id[count++] = *from++;
        id[count] = 0;
        if (after(event, "do:crash")) leave(7);
        if (after(event, "do:fault")) *(volatile int *)8 = 1;
        while (after(event, "do:loop")) {}
        at = put(put(put(sent, "POST /2018-06-01/runtime/invocation/"), id), "/response HTTP/1.1\r\nHost: api\r\n");
        at = put_number(put(at, "Content-Length: "), PADDED + length(event));
        body = put(at, "\r\n\r\n");
        at = put(put(put(body, "{\"statusCode\":200,\"body\":"), event), ",\"calls\":");
        at = put(put_number(at, calls), "}");
        while (at < body + PADDED + length(event)) *at++ = ' ';
        if (after(event, "do:log")) call(WRITE, 2, (long)"from standard error\n", 20);
        ask(sent, at - sent);
    }
}
