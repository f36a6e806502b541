package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.hypervisor.CpuidTable;
import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.hypervisor.PartitionConfiguration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Locked instructions of two processors at once lose nothing, wherever the operand lies.
class LockedOperationTest {
  private static final int PROCESSORS = 2;
  private static final int TURNS = 10_000;
  private static final int CODE = 0x8000;

  /// Real-mode code that each processor runs:
  ///
  /// ```
  ///     mov bp, 10000
  /// l:  lock inc dword [0x9000]
  ///     lock add word [0x9011], 3        ; unaligned
  ///     lock inc dword [0x901E]          ; across eight bytes
  ///     lock inc dword [0x9FFE]          ; across pages
  ///     mov eax, 1
  ///     lock xadd [0x9030], eax
  /// s:  mov al, 1                        ; a lock by XCHG
  ///     xchg al, [0x9040]
  ///     test al, al
  ///     jnz s
  ///     inc dword [0x9044]
  ///     mov byte [0x9040], 0
  /// r:  mov eax, [0x9050]                ; 64-bit addition by CMPXCHG8B
  ///     mov edx, [0x9054]
  ///     mov ebx, eax
  ///     mov ecx, edx
  ///     add ebx, 1
  ///     adc ecx, 0
  ///     lock cmpxchg8b [0x9050]
  ///     jnz r
  /// q:  lock bts dword [0x9060], 5       ; a lock by BTS
  ///     jc q
  ///     inc dword [0x9064]
  ///     lock btr dword [0x9060], 5
  ///     dec bp
  ///     jnz l
  ///     hlt
  /// ```
  private static final String PROGRAM =
      "bd1027f066ff060090f08306119003f066ff061e90f066ff06fe9f66b801000000f0660fc1063090b001"
          + "8606409084c075f666ff064490c60640900066a15090668b1654906689c36689d16683c3016683d100"
          + "f00fc70e509075e1f0660fba2e60900572f666ff066490f0660fba366090054d758ef4";

  @Test
  @Timeout(value = 2, unit = TimeUnit.MINUTES)
  void nothingIsLost() throws InterruptedException {
    var memory = new GuestMemory(4 << 20);
    memory.write(CODE, HexFormat.of().parseHex(PROGRAM));
    // So that the low half overflows.
    memory.writeLong(0x9050, 0xFFFF_FF00L);
    var partition =
        new SoftwarePartition(
            new PartitionConfiguration(
                PROCESSORS,
                memory,
                new CpuidTable(List.of()),
                1_000_000_000L,
                new ManualTimeSource(0),
                p -> new QuietApics()));
    var threads = new ArrayList<Thread>();
    for (var processor : partition.softwareProcessors()) {
      if (processor.index() == 0) {
        Reset.startup(processor.cpu(), CODE >> 12);
      } else {
        processor.requestStartup(CODE >> 12);
      }
      threads.add(
          Thread.ofPlatform()
              .start(
                  () ->
                      processor.run(
                          (p, intercept) -> {
                            if (intercept instanceof Intercept.Halt) {
                              p.cancel();
                            }
                          })));
    }
    for (var thread : threads) {
      thread.join();
    }
    int all = PROCESSORS * TURNS;
    assertThat(memory.readInt(0x9000)).isEqualTo(all);
    assertThat(memory.readInt(0x9011) & 0xFFFF).isEqualTo(3 * all);
    assertThat(memory.readInt(0x901E)).isEqualTo(all);
    assertThat(memory.readInt(0x9FFE)).isEqualTo(all);
    assertThat(memory.readInt(0x9030)).isEqualTo(all);
    assertThat(memory.readInt(0x9044)).isEqualTo(all);
    assertThat(memory.readLong(0x9050)).isEqualTo(0xFFFF_FF00L + all);
    assertThat(memory.readInt(0x9064)).isEqualTo(all);
  }

  /// With more than one processor, a locked access to a device must not wait for its own lock.
  @ParameterizedTest
  @ValueSource(
      strings = {
        "F0 01 04 25 FE 6F 00 00", // LOCK ADD across the edge of RAM
        "F0 48 0F C7 0C 25 00 70 00 00", // LOCK CMPXCHG16B on a device
        "48 0F C7 0C 25 00 70 00 00", // CMPXCHG16B on a device
        "F0 0F C7 0C 25 FC 6F 00 00" // LOCK CMPXCHG8B across
      })
  @Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void lockedAccessToADeviceEnds(String code) {
    try (var guest = new Guest(2)) {
      guest.longMode();
      // The page after 0x6000 is a device's.
      guest.memory.writeLong(Guest.PT + 8 * 7, 0x1000_0000L | 3);
      guest.code(Guest.CODE, code + "F4");
      guest.run();
      assertThat(guest.cpu().rip).isEqualTo(Guest.CODE + code.replace(" ", "").length() / 2 + 1);
      assertThat(guest.accesses).isNotEmpty();
    }
  }
}
