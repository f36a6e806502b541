/* Programs of real kinds for `./partita bench cpu`. Each does its work in rounds; the number of rounds is
 * doubled until they take long enough, and the rate of the last measurement is printed:
 *   cpu NAME CHECKSUM ROUNDS-PER-SECOND
 * after a warm-up of twice that time. The checksum is of the first round, which does the same everywhere; the
 * same round after the measurement has to give it again.
 * With -jN, N processes do the same at once, and the sum of their rates is printed. */
#include <emmintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint8_t u8;

static u64 seed = 88172645463325252ull;

static u64 random64(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed;
}

/* ---- SHA-256 (FIPS 180-4) over 64 KiB */
static u32 sha_k[64];

static u32 fraction(double x) { return (u32)((x - (double)(u64)x) * 4294967296.0); }

static double root(double x, int cube) {
  double r = x / 2;
  for (int i = 0; i < 100; i++) r = cube ? r - (r * r * r - x) / (3 * r * r) : r - (r * r - x) / (2 * r);
  return r;
}

static void sha_init(void) {
  int n = 0;
  for (int p = 2; n < 64; p++) {
    int prime = 1;
    for (int d = 2; d * d <= p; d++) prime &= p % d != 0;
    if (prime) sha_k[n++] = fraction(root(p, 1));
  }
}

#define ROR(x, n) ((x) >> (n) | (x) << (32 - (n)))

static u64 sha256(u64 rounds) {
  static u8 data[65536];
  u32 h[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  for (unsigned i = 0; i < sizeof data; i++) data[i] = i * 7;
  while (rounds--)
    for (unsigned at = 0; at < sizeof data; at += 64) {
      u32 w[64], v[8];
      for (int i = 0; i < 16; i++) {
        u32 x;
        memcpy(&x, data + at + 4 * i, 4);
        w[i] = __builtin_bswap32(x);
      }
      for (int i = 16; i < 64; i++) {
        u32 a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (ROR(a, 7) ^ ROR(a, 18) ^ a >> 3) + w[i - 7] + (ROR(b, 17) ^ ROR(b, 19) ^ b >> 10);
      }
      memcpy(v, h, sizeof v);
      for (int i = 0; i < 64; i++) {
        u32 e = v[4], a = v[0];
        u32 t1 = v[7] + (ROR(e, 6) ^ ROR(e, 11) ^ ROR(e, 25)) + ((e & v[5]) ^ (~e & v[6])) + sha_k[i] + w[i];
        u32 t2 = (ROR(a, 2) ^ ROR(a, 13) ^ ROR(a, 22)) + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 28);
        v[4] += t1;
        v[0] = t1 + t2;
      }
      for (int i = 0; i < 8; i++) h[i] += v[i];
    }
  return (u64)h[0] << 32 | h[1];
}

/* ---- qsort of 20,000 words with a comparison function */
static int compare(const void *a, const void *b) {
  u32 x = *(const u32 *)a, y = *(const u32 *)b;
  return x < y ? -1 : x > y;
}

static void sort_range(u32 *a, long n, int (*order)(const void *, const void *)) {
  while (n > 12) {
    u32 pivot = a[n / 2];
    long i = 0, j = n - 1;
    while (i <= j) {
      while (order(&a[i], &pivot) < 0) i++;
      while (order(&a[j], &pivot) > 0) j--;
      if (i <= j) {
        u32 t = a[i];
        a[i++] = a[j];
        a[j--] = t;
      }
    }
    sort_range(a, j + 1, order);
    a += i;
    n -= i;
  }
  for (long i = 1; i < n; i++) {
    u32 t = a[i];
    long j = i;
    for (; j > 0 && order(&a[j - 1], &t) > 0; j--) a[j] = a[j - 1];
    a[j] = t;
  }
}

static u64 sort(u64 rounds) {
  static u32 a[20000];
  u64 sum = 0;
  while (rounds--) {
    for (int i = 0; i < 20000; i++) a[i] = random64();
    sort_range(a, 20000, compare);
    sum += a[0] ^ (u64)a[10000] << 20 ^ (u64)a[19999] << 32;
  }
  return sum;
}

/* ---- Product of two numbers of 4,096 bits, reduced by addition */
static u64 bignum(u64 rounds) {
  static u64 a[64], b[64], c[128];
  for (int i = 0; i < 64; i++) a[i] = i * 0x9E3779B97F4A7C15ull + 1, b[i] = ~a[i] * 3;
  while (rounds--) {
    memset(c, 0, sizeof c);
    for (int i = 0; i < 64; i++) {
      u64 carry = 0;
      for (int j = 0; j < 64; j++) {
        unsigned __int128 t = (unsigned __int128)a[i] * b[j] + c[i + j] + carry;
        c[i + j] = (u64)t;
        carry = t >> 64;
      }
      c[i + 64] = carry;
    }
    for (int i = 0; i < 64; i++) a[i] = c[i] + c[i + 64];
  }
  return a[0] ^ a[63];
}

/* ---- LZ77 with a hash table, there and back, with a checksum */
static u64 compression(u64 rounds) {
  static u8 text[65536], packed[140000], back[65536];
  static u32 table[4096];
  static const char *words[] = {"the ", "virtual ", "machine ", "of ", "memory ", "page ", "and ", "processor "};
  unsigned n = 0;
  while (n < sizeof text - 16) {
    const char *w = words[random64() & 7];
    memcpy(text + n, w, strlen(w));
    n += strlen(w);
  }
  u64 sum = 0;
  while (rounds--) {
    memset(table, 0, sizeof table);
    unsigned out = 0;
    for (unsigned i = 0; i < n;) {
      u32 four;
      memcpy(&four, text + i, 4);
      u32 h = four * 2654435761u >> 20;
      unsigned from = table[h], length = 0;
      table[h] = i;
      if (from < i && i - from < 65536)
        while (length < 255 && i + length < n && text[from + length] == text[i + length]) length++;
      if (length >= 4) {
        packed[out++] = length;
        packed[out++] = (i - from) & 255;
        packed[out++] = (i - from) >> 8;
        i += length;
      } else {
        packed[out++] = 0;
        packed[out++] = text[i++];
      }
    }
    unsigned to = 0;
    for (unsigned i = 0; i < out;) {
      unsigned length = packed[i++];
      if (length == 0) {
        back[to++] = packed[i++];
      } else {
        unsigned distance = packed[i] | packed[i + 1] << 8;
        i += 2;
        while (length--) back[to] = back[to - distance], to++;
      }
    }
    u32 a = 1, b = 0;
    for (unsigned i = 0; i < n; i++) a = (a + back[i]) % 65521, b = (b + a) % 65521;
    if (to != n || memcmp(back, text, n)) return 0;
    sum += out + ((u64)b << 16 | a);
  }
  return sum;
}

/* ---- An interpreter of bytecode: sum of numbers that are no multiples of 3 */
enum { PUSH, ADD, SUB, MOD, JZ, JMP, LOAD, STORE, HALT };

static u64 interpreter(u64 rounds) {
  static int p[64];
  int n = 0;
  int loop, skip, end;
  p[n++] = PUSH; p[n++] = 20000; p[n++] = STORE; p[n++] = 0;
  p[n++] = PUSH; p[n++] = 0; p[n++] = STORE; p[n++] = 1;
  loop = n;
  p[n++] = LOAD; p[n++] = 0; p[n++] = JZ; end = n++;
  p[n++] = LOAD; p[n++] = 0; p[n++] = PUSH; p[n++] = 3; p[n++] = MOD; p[n++] = JZ; skip = n++;
  p[n++] = LOAD; p[n++] = 0; p[n++] = LOAD; p[n++] = 1; p[n++] = ADD; p[n++] = STORE; p[n++] = 1;
  p[skip] = n;
  p[n++] = LOAD; p[n++] = 0; p[n++] = PUSH; p[n++] = 1; p[n++] = SUB; p[n++] = STORE; p[n++] = 0;
  p[n++] = JMP; p[n++] = loop;
  p[end] = n;
  p[n++] = HALT;
  u64 sum = 0;
  while (rounds--) {
    long stack[16], cells[2] = {0, 0};
    int sp = 0;
    for (int pc = 0;;) {
      switch (p[pc++]) {
        case PUSH: stack[sp++] = p[pc++]; continue;
        case ADD: sp--; stack[sp - 1] += stack[sp]; continue;
        case SUB: sp--; stack[sp - 1] -= stack[sp]; continue;
        case MOD: sp--; stack[sp - 1] = (u32)stack[sp - 1] % (u32)stack[sp]; continue;
        case JZ: pc = stack[--sp] ? pc + 1 : p[pc]; continue;
        case JMP: pc = p[pc]; continue;
        case LOAD: stack[sp++] = cells[p[pc++]]; continue;
        case STORE: cells[p[pc++]] = stack[--sp]; continue;
      }
      break;
    }
    sum += cells[1];
  }
  return sum;
}

/* ---- Recursive calls */
__attribute__((noinline, optimize("no-optimize-sibling-calls"))) static u64 fibonacci(unsigned n) {
  if (n < 2) return n;
  u64 a = fibonacci(n - 1);
  __asm__ volatile("" : "+r"(a));
  return a + fibonacci(n - 2);
}

static u64 calls(u64 rounds) {
  u64 sum = 0;
  while (rounds--) sum += fibonacci(20);
  return sum;
}

/* ---- A chain of pointers through 4 MiB in random order */
static u64 pointers(u64 rounds) {
  enum { N = 65536 };
  static struct node {
    struct node *next;
    u64 value[7];
  } *nodes;
  if (!nodes) {
    nodes = malloc(N * sizeof *nodes);
    u32 *order = malloc(N * 4);
    for (u32 i = 0; i < N; i++) order[i] = i;
    for (u32 i = N - 1; i > 0; i--) {
      u32 j = random64() % (i + 1), t = order[i];
      order[i] = order[j];
      order[j] = t;
    }
    for (u32 i = 0; i < N; i++) {
      nodes[order[i]].next = &nodes[order[(i + 1) % N]];
      nodes[i].value[0] = i;
    }
    free(order);
  }
  u64 sum = 0;
  struct node *p = nodes;
  while (rounds--)
    for (int i = 0; i < N; i++) sum = sum * 3 + p->value[0], p = p->next;
  return sum;
}

/* ---- Splitting, hashing and comparing of strings, byte by byte */
static u64 strings(u64 rounds) {
  static char text[16384];
  if (!text[0])
    for (unsigned i = 0; i < sizeof text - 1; i++) text[i] = random64() % 6 ? 'a' + random64() % 26 : ' ';
  u64 sum = 0;
  while (rounds--) {
    const char *previous = "";
    for (char *p = text; *p;) {
      while (*p == ' ') p++;
      char *word = p;
      u32 h = 5381;
      while (*p && *p != ' ') h = h * 33 ^ (u8)*p++;
      const char *a = word, *b = previous;
      while (*a && *a == *b) a++, b++;
      sum += h + (*a > *b);
      previous = word;
    }
  }
  return sum;
}

/* ---- Product of matrices of doubles */
static u64 doubles(u64 rounds) {
  enum { N = 48 };
  static double a[N][N], b[N][N], c[N][N];
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) a[i][j] = i + j * 0.5, b[i][j] = i * 0.25 - j;
  double sum = 0;
  while (rounds--) {
    for (int i = 0; i < N; i++)
      for (int j = 0; j < N; j++) {
        double s = 0;
        for (int k = 0; k < N; k++) s += a[i][k] * b[k][j];
        c[i][j] = s;
      }
    sum += c[3][5] / 3;
  }
  return (u64)(int64_t)sum;
}

/* ---- Sums of absolute differences and saturated additions with SSE2 */
static u64 vectors(u64 rounds) {
  static u8 a[16384] __attribute__((aligned(16))), b[16384] __attribute__((aligned(16)));
  for (unsigned i = 0; i < sizeof a; i++) a[i] = i * 13, b[i] = i * 29;
  u64 sum = 0;
  while (rounds--) {
    __m128i s = _mm_setzero_si128();
    for (unsigned i = 0; i < sizeof a; i += 16) {
      __m128i x = _mm_load_si128((__m128i *)(a + i)), y = _mm_load_si128((__m128i *)(b + i));
      s = _mm_add_epi64(s, _mm_sad_epu8(x, y));
      _mm_store_si128((__m128i *)(a + i), _mm_xor_si128(_mm_adds_epu8(x, y), _mm_slli_epi32(y, 1)));
    }
    sum += _mm_cvtsi128_si64(s) + _mm_cvtsi128_si64(_mm_unpackhi_epi64(s, s));
  }
  return sum;
}

/* ---- System calls */
static u64 syscalls(u64 rounds) {
  u64 sum = 0;
  while (rounds--)
    for (int i = 0; i < 1000; i++) sum += syscall(SYS_getppid) >= 0;
  return sum;
}

/* ---- Page faults */
static u64 faults(u64 rounds) {
  u64 sum = 0;
  while (rounds--) {
    char *p = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return 0;
    for (int i = 0; i < 1 << 20; i += 4096) p[i] = i >> 12, sum += p[i];
    munmap(p, 1 << 20);
  }
  return sum;
}

/* ---- CRC-32 by table */
static u64 crc(u64 rounds) {
  static u32 table[256];
  static u8 data[32768];
  for (u32 i = 0; i < 256; i++) {
    u32 r = i;
    for (int k = 0; k < 8; k++) r = r & 1 ? r >> 1 ^ 0xEDB88320 : r >> 1;
    table[i] = r;
  }
  for (unsigned i = 0; i < sizeof data; i++) data[i] = i ^ i >> 8;
  u32 c = ~0u;
  while (rounds--)
    for (unsigned i = 0; i < sizeof data; i++) c = c >> 8 ^ table[(u8)(c ^ data[i])];
  return c;
}

/* ---- Sieve of Eratosthenes */
static u64 sieve(u64 rounds) {
  static u8 composite[100000];
  u64 sum = 0;
  while (rounds--) {
    memset(composite, 0, sizeof composite);
    for (unsigned i = 2; i < sizeof composite; i++)
      if (!composite[i]) {
        sum += i;
        for (unsigned j = 2 * i; j < sizeof composite; j += i) composite[j] = 1;
      }
  }
  return sum;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static const struct {
  const char *name;
  u64 (*run)(u64 rounds);
} programs[] = {{"sha256", sha256},     {"sort", sort},         {"bignum", bignum},     {"compression", compression},
                {"interpreter", interpreter}, {"calls", calls}, {"pointers", pointers}, {"strings", strings},
                {"doubles", doubles},   {"vectors", vectors},   {"syscalls", syscalls}, {"faults", faults},
                {"crc32", crc},         {"sieve", sieve}};

/* Rounds a second of one process. */
static double measure(u64 (*run)(u64 rounds), double seconds) {
  /* Both translate code while it runs, one of them in two steps: what is compared is what follows. */
  for (double start = now(); now() - start < 2 * seconds;) run(1);
  for (u64 rounds = 1;; rounds *= 2) {
    double start = now();
    run(rounds);
    double time = now() - start;
    if (time >= seconds) return rounds / time;
  }
}

/* Rounds a second of several processes together, in the time that all of them run. */
static double measure_all(u64 (*run)(u64 rounds), double seconds, int processes) {
  volatile struct {
    double begin, end, rounds;
  } *all = mmap(0, processes * sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < processes; i++)
    if (!fork()) {
      for (double start = now(); now() - start < 2 * seconds;) run(1);
      all[i].begin = now();
      while ((all[i].end = now()) - all[i].begin < 2 * seconds) {
        run(1);
        all[i].rounds++;
      }
      _exit(0);
    }
  double rate = 0;
  for (int i = 0, status; i < processes; i++)
    if (wait(&status) < 0 || status) exit(1);
  for (int i = 0; i < processes; i++) rate += all[i].rounds / (all[i].end - all[i].begin);
  munmap((void *)all, processes * sizeof *all);
  return rate;
}

/* Arguments: -jN or nothing, seconds, then names of programs (none: all). */
int main(int argc, char **argv) {
  int processes = 1;
  if (argc > 1 && !strncmp(argv[1], "-j", 2)) {
    processes = atoi(argv[1] + 2);
    argc--;
    argv++;
  }
  double seconds = argc > 1 ? atof(argv[1]) : 1;
  sha_init();
  for (unsigned i = 0; i < sizeof programs / sizeof *programs; i++) {
    int wanted = argc <= 2;
    for (int a = 2; a < argc; a++) wanted |= !strcmp(argv[a], programs[i].name);
    if (!wanted) continue;
    seed = 88172645463325252ull;
    u64 check = programs[i].run(1);
    double rate = processes > 1 ? measure_all(programs[i].run, seconds, processes) : measure(programs[i].run, seconds);
    /* The same again, now that it has been translated as well as it will be. */
    seed = 88172645463325252ull;
    if (programs[i].run(1) != check) {
      fprintf(stderr, "%s computes another result than at first\n", programs[i].name);
      return 1;
    }
    printf("cpu %s %016llx %.3f\n", programs[i].name, (unsigned long long)check, rate);
    fflush(stdout);
  }
  return 0;
}
