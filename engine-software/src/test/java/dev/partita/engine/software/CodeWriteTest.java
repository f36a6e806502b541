package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// Code that is written while it is there to be run: by itself, by a device; and dirty tracking of
/// what processors write.
class CodeWriteTest {
  private final Guest guest = new Guest().longMode();

  @AfterEach
  void close() {
    guest.close();
  }

  @Test
  void instructionWrittenAheadInTheSameBlockIsRunAsWritten() {
    // mov byte [target + 1], 7
    // nop
    // target: mov al, 1
    // hlt
    guest.code(Guest.CODE, "c604250a10000007 90 b001 f4");
    guest.run();
    assertThat(guest.register(Cpu.RAX) & 0xFF).isEqualTo(7);
  }

  @Test
  void loopThatChangesItsOwnBody() {
    // Adds 1, then 2, then 3 ...: the immediate is incremented each time.
    // mov ecx, 10
    // xor eax, eax
    // again: db 0x05
    // value: dd 1
    // inc dword [value]
    // loop again
    // hlt
    guest.code(Guest.CODE, "b90a000000 31c0 05 01000000 ff042508100000 e2f2 f4");
    guest.run();
    assertThat(guest.register(Cpu.RAX)).isEqualTo(55);
  }

  @Test
  void interruptFrameOnTheCodesOwnPage() {
    // The stack ends right behind the code.
    guest.setLongGate(0x40, 0x8E, 0, Guest.CODE64, 0x6000);
    guest.code(0x6000, "48 cf");
    // mov esp, 0x1080
    // int 0x40
    // int 0x40
    // push rax
    // pop rbx
    // hlt
    guest.code(Guest.CODE, "bc80100000 cd40 cd40 50 5b f4");
    guest.cpu().r[Cpu.RAX] = 0x55;
    guest.run();
    assertThat(guest.register(Cpu.RBX)).isEqualTo(0x55);
    assertThat(guest.cpu().rip).isEqualTo(Guest.CODE + 12);
  }

  @Test
  void softwareInterruptWhoseFrameHitsItsOwnBlock() {
    guest.setLongGate(0x40, 0x8E, 0, Guest.CODE64, 0x6000);
    guest.code(0x6000, "f4");
    // The frame of 40 bytes below 0x1040 covers 0x1018 to 0x103F: the code at 0x1030.
    guest.cpu().rip = 0x1030;
    // mov esp, 0x1040
    // mov ebx, 3
    // int 0x40
    guest.code(0x1030, "bc40100000 bb03000000 cd40");
    guest.run();
    assertThat(guest.register(Cpu.RSP)).isEqualTo(0x1018);
    assertThat(guest.frame(0)).isEqualTo(0x103C);
    assertThat(guest.frame(3)).isEqualTo(0x1040);
    assertThat(guest.register(Cpu.RBX)).isEqualTo(3);
  }

  @Test
  void codeThatADeviceWritesIsDecodedAgain() {
    guest.portHook = (p, port, value) -> guest.memory.write(0x6001, new byte[] {9});
    guest.code(0x6000, "b0 01 c3");
    // mov edx, 0x6000
    // call rdx
    // mov bl, al
    // out 0x10, al
    // call rdx
    // hlt
    guest.code(Guest.CODE, "ba00600000 ffd2 88c3 e610 ffd2 f4");
    guest.run();
    assertThat(guest.register(Cpu.RBX) & 0xFF).isEqualTo(1);
    assertThat(guest.register(Cpu.RAX) & 0xFF).isEqualTo(9);
  }

  @Test
  void sameCodeThroughTwoLinearAddresses() {
    // 0xE000 shows the page at 0x6000; code written through one is run through the other.
    guest.memory.writeLong(Guest.PT + 0xE * 8, 0x6003);
    guest.code(0x6000, "b0 01 c3");
    // mov edx, 0xe000
    // call rdx
    // mov bl, al
    // mov byte [0x6001], 5
    // call rdx
    // hlt
    guest.code(Guest.CODE, "ba00e00000 ffd2 88c3 c604250160000005 ffd2 f4");
    guest.run();
    assertThat(guest.register(Cpu.RBX) & 0xFF).isEqualTo(1);
    assertThat(guest.register(Cpu.RAX) & 0xFF).isEqualTo(5);
  }

  @Test
  void writesOfProcessorsAreTracked() {
    // again: mov [rbx], al
    // push rax
    // out 0x10, al
    // jmp again
    guest.code(Guest.CODE, "8803 50 e610 ebf9");
    guest.cpu().r[Cpu.RBX] = 0x6000;
    guest.memory.setTracking(true);
    var runs = new int[1];
    guest.portHook =
        (p, port, value) -> {
          runs[0]++;
          p.cancel();
        };
    guest.run();
    assertThat(dirtyPages()).containsExactly(0x6000L, 0x2_F000L);
    assertThat(dirtyPages()).isEmpty();
    // The pages were writable without a check; they are noted again all the same.
    guest.run();
    assertThat(runs[0]).isEqualTo(2);
    assertThat(dirtyPages()).containsExactly(0x6000L, 0x2_F000L);
    guest.memory.setTracking(false);
  }

  /// Dirty pages but those that hold page tables (accessed and dirty bits).
  private java.util.List<Long> dirtyPages() {
    var list = new java.util.ArrayList<Long>();
    long[] bitmap = guest.memory.takeDirty();
    for (int word = 0; word < bitmap.length; word++) {
      for (int bit = 0; bit < 64; bit++) {
        long address = (64L * word + bit) * 4096;
        boolean table = address >= Guest.PML4 && address <= Guest.PT;
        if ((bitmap[word] & 1L << bit) != 0 && !table) {
          list.add(address);
        }
      }
    }
    return list;
  }
}
