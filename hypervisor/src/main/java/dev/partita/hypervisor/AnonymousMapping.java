package dev.partita.hypervisor;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/// Anonymous memory from the host. On Linux this is `mmap`, so that pages cost nothing until
/// touched and
/// can be huge; elsewhere the JDK's allocator, which touches every page.
final class AnonymousMapping {
  // <sys/mman.h> on Linux, all architectures the JDK runs on.
  private static final int PROT_READ_WRITE = 0x1 | 0x2;
  private static final int MAP_PRIVATE_ANONYMOUS_NORESERVE = 0x02 | 0x20 | 0x4000;
  private static final int MADV_HUGEPAGE = 14;
  private static final long HUGE_PAGE = 2 << 20;

  private AnonymousMapping() {}

  static MemorySegment map(long size, Arena arena) {
    try {
      return System.getProperty("os.name", "").equals("Linux")
          ? Mmap.map(size, arena)
          : arena.allocate(size, GuestMemory.PAGE_SIZE);
    } catch (OutOfMemoryError e) {
      throw new PartitionException(
          "the host has no room for %d MiB of guest RAM".formatted(size >> 20), e);
    }
  }

  private static final class Mmap {
    private static final Linker LINKER = Linker.nativeLinker();
    private static final MethodHandle MMAP =
        handle(
            "mmap",
            FunctionDescriptor.of(
                ValueLayout.ADDRESS,
                ValueLayout.ADDRESS,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_LONG));
    private static final MethodHandle MUNMAP =
        handle(
            "munmap",
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG));
    private static final MethodHandle MADVISE =
        handle(
            "madvise",
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT,
                ValueLayout.ADDRESS,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_INT));

    private static MethodHandle handle(String name, FunctionDescriptor descriptor) {
      return LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow(name), descriptor);
    }

    /// Maps 2 MiB more than asked, so that the RAM can start on a huge page's boundary.
    static MemorySegment map(long size, Arena arena) {
      long total = size + HUGE_PAGE;
      try {
        var mapped =
            (MemorySegment)
                MMAP.invokeExact(
                    MemorySegment.NULL,
                    total,
                    PROT_READ_WRITE,
                    MAP_PRIVATE_ANONYMOUS_NORESERVE,
                    -1,
                    0L);
        if (mapped.address() == -1) {
          throw new OutOfMemoryError("mmap");
        }
        long start = (mapped.address() + HUGE_PAGE - 1) & -HUGE_PAGE;
        var aligned = MemorySegment.ofAddress(start);
        // Advice only: a host without huge pages refuses, and nothing is lost.
        int ignored = (int) MADVISE.invokeExact(aligned, size, MADV_HUGEPAGE);
        long whole = mapped.address();
        return aligned.reinterpret(size, arena, s -> unmap(whole, total));
      } catch (RuntimeException | Error e) {
        throw e;
      } catch (Throwable e) {
        throw new IllegalStateException(e);
      }
    }

    private static void unmap(long address, long size) {
      try {
        int result = (int) MUNMAP.invokeExact(MemorySegment.ofAddress(address), size);
        if (result != 0) {
          throw new IllegalStateException("munmap of guest RAM failed");
        }
      } catch (RuntimeException | Error e) {
        throw e;
      } catch (Throwable e) {
        throw new IllegalStateException(e);
      }
    }
  }
}
