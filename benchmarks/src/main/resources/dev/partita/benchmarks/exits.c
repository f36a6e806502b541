/*
 * The loop around KVM_RUN that ExitsBenchmark measures Partita's against: the same guest on the same
 * /dev/kvm, with nothing between the kernel and the loop.
 *
 * Usage: exits MEMORY-IMAGE SECONDS GUEST
 *
 * MEMORY-IMAGE is a guest's first RAM, with page tables at 0x1000, a descriptor table at 0x4000, an
 * interrupt table at 0x6000, and 64-bit code at 0x8000. GUEST tells how its exits are answered: for
 * INTERRUPT each port write with an interrupt, vector 0x40; for HYPERCALL with a look at what the guest
 * may do and at its registers, and a result in RAX; for SIGNAL not at all, for the port is an event
 * counter's, which a second thread waits for, and the guest counts at 0xa000. Prints how many
 * operations there were a second of the processor's thread.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define RAM_SIZE (1 << 20)

static int call(int fd, unsigned long request, void *argument, const char *name) {
  int result = ioctl(fd, request, argument);
  if (result < 0) {
    perror(name);
    exit(1);
  }
  return result;
}

#define CALL(fd, request, argument) call(fd, request, (void *) (argument), #request)

static void enable(int machine, int capability, uint64_t argument) {
  struct kvm_enable_cap request = {.cap = capability, .args = {argument}};
  CALL(machine, KVM_ENABLE_CAP, &request);
}

static struct kvm_segment segment(int selector, int type, int l, int db) {
  struct kvm_segment s = {.limit = 0xffffffff, .selector = selector, .type = type, .present = 1,
                          .s = 1, .l = l, .db = db, .g = 1};
  return s;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void nothing(int signal) {}

static volatile unsigned long rings;

/* Keeps the caller on one of the host's processors: what a signal costs depends on where its listener
 * sleeps. */
static void stay_on(int number) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(number, &one);
  /* A host of one processor leaves no choice. */
  sched_setaffinity(0, sizeof one, &one);
}

static void *listen_for_rings(void *argument) {
  stay_on(1);
  int set = *(int *) argument;
  struct epoll_event events[64];
  for (;;) {
    int n = epoll_wait(set, events, 64, -1);
    for (int i = 0; i < n; i++) {
      rings++;
    }
  }
}

/* Signals of the guest, and a signal to this thread when the time is over. */
static void prepare_signals(int machine, double seconds) {
  static int set;
  set = epoll_create1(0);
  int counter = eventfd(0, EFD_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN | EPOLLET};
  struct kvm_ioeventfd request = {.datamatch = 0x2001, .addr = 0xe1, .len = 4, .fd = counter,
                                  .flags = KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH};
  if (set < 0 || counter < 0 || epoll_ctl(set, EPOLL_CTL_ADD, counter, &event) < 0) {
    perror("epoll");
    exit(1);
  }
  CALL(machine, KVM_IOEVENTFD, &request);
  pthread_t thread;
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &alarm, 0);
  pthread_create(&thread, 0, listen_for_rings, &set);
  stay_on(0);
  pthread_sigmask(SIG_UNBLOCK, &alarm, 0);
  struct sigaction action = {.sa_handler = nothing};
  sigaction(SIGALRM, &action, 0);
  struct itimerval timer = {.it_value = {.tv_sec = (long) seconds,
                                         .tv_usec = (seconds - (long) seconds) * 1e6}};
  setitimer(ITIMER_REAL, &timer, 0);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: exits MEMORY-IMAGE SECONDS GUEST\n");
    return 2;
  }
  double seconds = atof(argv[2]);
  int inject = !strcmp(argv[3], "INTERRUPT");
  int hypercall = !strcmp(argv[3], "HYPERCALL");
  int signals = !strcmp(argv[3], "SIGNAL");
  int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (kvm < 0) {
    perror("/dev/kvm");
    return 1;
  }
  int machine = CALL(kvm, KVM_CREATE_VM, 0);
  uint64_t identity = 0xfeffc000;
  CALL(machine, KVM_SET_IDENTITY_MAP_ADDR, &identity);
  CALL(machine, KVM_SET_TSS_ADDR, 0xfeffd000);
  enable(machine, KVM_CAP_SPLIT_IRQCHIP, 24);
  enable(machine, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_FILTER);
  static uint8_t denied[0x200 / 8];
  struct kvm_msr_filter filter = {
      .ranges = {{.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE, .nmsrs = 0x200,
                  .base = 0x40000000, .bitmap = denied}}};
  CALL(machine, KVM_X86_SET_MSR_FILTER, &filter);

  uint8_t *ram = mmap(0, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  FILE *image = fopen(argv[1], "rb");
  if (ram == MAP_FAILED || !image || !fread(ram, 1, RAM_SIZE, image)) {
    perror(argv[1]);
    return 1;
  }
  fclose(image);
  struct kvm_userspace_memory_region region = {.memory_size = RAM_SIZE,
                                               .userspace_addr = (uintptr_t) ram};
  CALL(machine, KVM_SET_USER_MEMORY_REGION, &region);

  int processor = CALL(machine, KVM_CREATE_VCPU, 0);
  struct kvm_cpuid2 *cpuid = calloc(1, sizeof *cpuid + 256 * sizeof(struct kvm_cpuid_entry2));
  cpuid->nent = 256;
  CALL(kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
  CALL(processor, KVM_SET_CPUID2, cpuid);
  size_t size = CALL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  volatile struct kvm_run *run =
      mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, processor, 0);
  run->kvm_valid_regs = KVM_SYNC_X86_REGS;

  struct kvm_sregs system;
  CALL(processor, KVM_GET_SREGS, &system);
  system.cs = segment(0x08, 0xb, 1, 0);
  system.ds = system.es = system.fs = system.gs = system.ss = segment(0x10, 3, 0, 1);
  system.tr = (struct kvm_segment) {.base = 0x5000, .limit = 0x67, .selector = 0x28, .type = 0xb,
                                    .present = 1};
  system.ldt = (struct kvm_segment) {.unusable = 1};
  system.gdt.base = 0x4000;
  system.gdt.limit = 0x37;
  system.idt.base = 0x6000;
  system.idt.limit = 0xfff;
  system.cr0 = 0x80000033;
  system.cr3 = 0x1000;
  system.cr4 = 0x620;
  system.efer = 0x501;
  CALL(processor, KVM_SET_SREGS, &system);
  struct kvm_regs registers = {.rip = 0x8000, .rsp = 0x7000, .rflags = 2};
  CALL(processor, KVM_SET_REGS, &registers);

  struct kvm_msi message = {.address_lo = 0xfee00000, .data = 0x40};
  if (signals) {
    prepare_signals(machine, seconds);
  }
  double begin = now();
  double end = begin + seconds;
  unsigned long count = 0;
  volatile uint64_t sink = 0;
  while (signals) {
    if (ioctl(processor, KVM_RUN, 0) < 0 && errno == EINTR) {
      count = *(volatile uint64_t *) (ram + 0xa000);
      printf("%.0f\n", count / (now() - begin));
      return rings == 0;
    }
  }
  while ((count & 63) || now() < end) {
    CALL(processor, KVM_RUN, 0);
    switch (run->exit_reason) {
      case KVM_EXIT_IO:
        sink += *(uint32_t *) ((uint8_t *) run + run->io.data_offset);
        if (inject) {
          CALL(machine, KVM_SIGNAL_MSI, &message);
        } else if (hypercall) {
          CALL(processor, KVM_GET_SREGS, &system);
          if (!(system.cr0 & 1) || !(system.efer & 0x400) || !system.cs.l || system.ss.dpl) {
            fprintf(stderr, "the guest may make no hypercalls\n");
            return 1;
          }
          sink += run->s.regs.regs.rcx + run->s.regs.regs.rdx + run->s.regs.regs.r8;
          run->s.regs.regs.rax = 2;
          run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
        }
        break;
      case KVM_EXIT_MMIO:
        sink += *(uint32_t *) run->mmio.data;
        break;
      case KVM_EXIT_X86_WRMSR:
        sink += run->msr.data;
        run->msr.error = 0;
        break;
      default:
        fprintf(stderr, "unexpected exit %d\n", run->exit_reason);
        return 1;
    }
    count++;
  }
  printf("%.0f\n", count / (now() - begin));
  return 0;
}
