package dev.partita.engine.kvm;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.partita.engine.kvm.Structures.Translation;
import dev.partita.hypervisor.GuestMemory;
import java.lang.foreign.Arena;
import java.util.Arrays;

/// The code where a processor stopped, for whoever reads of its end.
final class CodeBytes {
  /// The longest instruction.
  private static final int MOST = 15;

  private CodeBytes() {}

  /// @param address linear
  /// @return as many bytes as are mapped to RAM, at most {@link #MOST}
  static byte[] at(KvmDescriptor processor, GuestMemory memory, long address) {
    var bytes = new byte[MOST];
    int n = 0;
    try (var arena = Arena.ofConfined()) {
      var translation = arena.allocate(Translation.SIZE, 8);
      for (; n < bytes.length; n++) {
        translation.set(JAVA_LONG, Translation.LINEAR_ADDRESS, address + n);
        processor.call(Ioctl.KVM_TRANSLATE, translation);
        long physical = translation.get(JAVA_LONG, Translation.PHYSICAL_ADDRESS);
        if (translation.get(JAVA_BYTE, Translation.VALID) == 0 || !memory.contains(physical, 1)) {
          break;
        }
        bytes[n] = memory.readByte(physical);
      }
    }
    return Arrays.copyOf(bytes, n);
  }
}
