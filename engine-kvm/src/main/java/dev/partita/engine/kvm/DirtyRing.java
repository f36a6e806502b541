package dev.partita.engine.kvm;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.partita.engine.kvm.Structures.DirtyPage;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;

/// The ring in which KVM tells the pages that one processor wrote ("KVM_CAP_DIRTY_LOG_RING" in the
/// kernel's Documentation/virt/kvm/api.rst): shared memory, an array of entries. The kernel fills
/// them in turn and flags each as dirty; the reader takes them in the same order and flags them to
/// be reset. Not thread-safe.
final class DirtyRing {
  /// Entries of a ring, a power of two. KVM itself needs some hundred of them free; a full ring
  /// costs one exit.
  static final int ENTRIES = 8192;

  /// KVM_DIRTY_LOG_PAGE_OFFSET: where the ring is in a processor's descriptor.
  static final int PAGE_OFFSET = 64;

  // KVM_DIRTY_GFN_F_*.
  static final int DIRTY = 1;
  static final int RESET = 1 << 1;

  private static final int PAGE_SIZE = 4096;

  private static final VarHandle FLAGS = JAVA_INT.varHandle();

  private final long address;
  private final MemorySegment segment;
  private final int entries;
  private int next;

  /// Hears of a page.
  @FunctionalInterface
  interface Listener {
    /// @param slot of memory
    /// @param page number in the slot
    void dirty(int slot, long page);
  }

  /// Maps the ring of a processor.
  ///
  /// @param size bytes, as it was asked for when rings were turned on
  DirtyRing(KvmDescriptor processor, int size) {
    address = Posix.map(processor.number(), size, (long) PAGE_OFFSET * PAGE_SIZE);
    if (address < 0 && address > -4096) {
      throw KvmException.of("mmap of a ring of dirty pages", (int) -address);
    }
    segment = MemorySegment.ofAddress(address).reinterpret(size);
    entries = size / DirtyPage.SIZE;
  }

  /// Takes all entries there are.
  ///
  /// @return how many
  /// @throws KvmException if there are more than there should be, so that some are lost
  int take(Listener listener) {
    int taken = 0;
    while (true) {
      long entry = (long) (next & entries - 1) * DirtyPage.SIZE;
      if (((int) FLAGS.getAcquire(segment, entry + DirtyPage.FLAGS) & (DIRTY | RESET)) != DIRTY) {
        return taken;
      }
      // Bits 31:16 are the address space, which is 0: there is no system management mode here.
      listener.dirty(
          segment.get(JAVA_INT, entry + DirtyPage.SLOT),
          segment.get(JAVA_LONG, entry + DirtyPage.OFFSET));
      FLAGS.setRelease(segment, entry + DirtyPage.FLAGS, RESET);
      next++;
      if (++taken == entries) {
        // A sound KVM stops the processor before.
        throw new KvmException(
            "KVM_CAP_DIRTY_LOG_RING", 0, "the host's KVM let a ring overflow: pages are lost");
      }
    }
  }

  /// Unmaps; nobody may use it any more.
  void free() {
    Posix.unmap(address, segment.byteSize());
  }
}
