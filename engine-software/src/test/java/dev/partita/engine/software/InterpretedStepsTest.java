package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Sequences that the interpreter executes in one step: what one of them throws in the middle, and
/// that they mean what their instructions mean.
class InterpretedStepsTest {
  private static final long LOWER = 0x5_0000;
  private static final long UPPER = 0x5_1000;

  private final Guest guest = new Guest().longMode();
  private final Cpu cpu = guest.cpu();

  /// Faults get a stack of their own, for the tests break the one in use.
  @BeforeEach
  void setGates() {
    for (int vector : new int[] {13, 14}) {
      guest.setLongGate(vector, 0x8E, 1, Guest.CODE64, Guest.HANDLERS + 16L * vector);
    }
  }

  @AfterEach
  void close() {
    guest.close();
  }

  @Test
  void pushThatFaultsAfterOthers() {
    guest.setPage(LOWER, 0);
    cpu.mmu.flush();
    cpu.r[Cpu.RSP] = UPPER + 16;
    cpu.r[Cpu.RAX] = 0x1111;
    cpu.r[Cpu.RBX] = 0x2222;
    // nop; push rax; push rbx; push rcx; push rdx; hlt
    guest.code(Guest.CODE, "90 50 53 51 52 f4");
    guest.run();
    assertThat(cpu.cr2).isEqualTo(UPPER - 8);
    assertThat(guest.frame(1)).isEqualTo(Guest.CODE + 3);
    assertThat(guest.frame(4)).isEqualTo(UPPER);
    assertThat(guest.memory.readLong(UPPER + 8)).isEqualTo(0x1111);
    assertThat(guest.memory.readLong(UPPER)).isEqualTo(0x2222);
    // nop, two pushes, and the handler's hlt.
    assertThat(guest.processor().instructionCount()).isEqualTo(4);
  }

  @Test
  void popThatFaultsAfterOthers() {
    guest.setPage(UPPER, 0);
    cpu.mmu.flush();
    cpu.r[Cpu.RSP] = UPPER - 16;
    guest.memory.writeLong(UPPER - 16, 0x1111);
    guest.memory.writeLong(UPPER - 8, 0x2222);
    cpu.r[Cpu.RCX] = 0x3333;
    // pop rax; nop; pop rax; pop rbx; pop rcx; hlt, entered at the second pop
    guest.code(Guest.CODE, "58 90 58 5b 59 f4");
    cpu.rip = Guest.CODE + 2;
    guest.run();
    assertThat(cpu.cr2).isEqualTo(UPPER);
    assertThat(guest.frame(1)).isEqualTo(Guest.CODE + 4);
    assertThat(guest.frame(4)).isEqualTo(UPPER);
    assertThat(guest.register(Cpu.RAX)).isEqualTo(0x1111);
    assertThat(guest.register(Cpu.RBX)).isEqualTo(0x2222);
    assertThat(guest.register(Cpu.RCX)).isEqualTo(0x3333);
    assertThat(guest.processor().instructionCount()).isEqualTo(3);
  }

  @Test
  void pushesAndPopsOfTheStackPointerItself() {
    // push rax; push rsp; push rbx; pop rcx; pop rdx; pop rsi; push rdi; push rax; pop rsp; hlt
    guest.code(Guest.CODE, "50 54 53 59 5a 5e 57 50 5c f4");
    cpu.r[Cpu.RAX] = 0x1111;
    cpu.r[Cpu.RBX] = 0x2222;
    guest.run();
    assertThat(guest.register(Cpu.RCX)).isEqualTo(0x2222);
    assertThat(guest.register(Cpu.RDX)).isEqualTo(Guest.STACK - 8);
    assertThat(guest.register(Cpu.RSI)).isEqualTo(0x1111);
    assertThat(guest.register(Cpu.RSP)).isEqualTo(0x1111);
  }

  @Test
  void pushesOverTheCodeBehindThem() {
    // mov esp, CODE + 0x30; push rax; push rbx; nops; at 0x20: mov al, 1; hlt
    guest.code(Guest.CODE, "bc30100000 50 53" + "90".repeat(25) + "b001 f4");
    cpu.r[Cpu.RAX] = 0x55;
    // mov al, 7; hlt
    cpu.r[Cpu.RBX] = 0x9090_9090_90F4_07B0L;
    guest.run();
    assertThat(guest.register(Cpu.RAX)).isEqualTo(7);
    assertThat(guest.register(Cpu.RSP)).isEqualTo(Guest.CODE + 0x20);
    assertThat(guest.memory.readLong(Guest.CODE + 0x28)).isEqualTo(0x55);
  }

  @Test
  void jumpToAnAddressThatIsNotCanonicalFaultsAtTheJump() {
    // The last page below the hole is the page at 0x1F_F000.
    guest.memory.writeLong(Guest.PML4 + 8 * 255, Guest.PDPT | 7);
    guest.memory.writeLong(Guest.PDPT + 8 * 511, Guest.PD | 7);
    guest.memory.writeLong(Guest.PD + 8 * 511, Guest.PT | 7);
    cpu.mmu.flush();
    // nop; test eax, eax; jz +0x1000
    guest.code(0x1F_F000, "90 85c0 0f8400100000");
    cpu.rip = 0x7FFF_FFFF_F000L;
    guest.run();
    assertThat(guest.frame(0)).isZero();
    assertThat(guest.frame(1)).isEqualTo(0x7FFF_FFFF_F003L);
    assertThat(guest.frame(3) & Cpu.ZF).isEqualTo(Cpu.ZF);
    assertThat(guest.processor().instructionCount()).isEqualTo(3);
  }

  /// TEST and CMP of RAX and RCX, and of RAX and an immediate, in the sizes that are fused.
  @ParameterizedTest
  @ValueSource(
      strings = {
        "4885c8",
        "85c8",
        "4839c8",
        "39c8",
        "4883f880",
        "83f80f",
        "483dffffff7f",
        "84c8",
        "a880",
      })
  void jumpAndFlagsAfterAComparison(String comparison) {
    int length = comparison.length() / 2;
    for (int condition = 0; condition < 16; condition++) {
      // comparison; jcc +2; mov bl, 1; setcc dl; hlt
      guest.code(
          Guest.CODE + 32L * condition,
          "%s 7%x02 b301 0f9%xc2 f4".formatted(comparison, condition, condition));
    }
    long[] values = {
      0,
      1,
      0x7F,
      0x80,
      0xFF,
      0x7FFF_FFFFL,
      0x8000_0000L,
      0xFFFF_FFFFL,
      Long.MAX_VALUE,
      Long.MIN_VALUE,
      -1,
      -0x80,
      0x0F
    };
    for (int condition = 0; condition < 16; condition++) {
      for (long a : values) {
        for (long b : values) {
          cpu.r[Cpu.RAX] = a;
          cpu.r[Cpu.RCX] = b;
          cpu.r[Cpu.RBX] = 0;
          cpu.r[Cpu.RDX] = 0;
          cpu.rip = Guest.CODE + 32L * condition;
          cpu.halted = false;
          guest.run();
          long holds = guest.register(Cpu.RDX);
          assertThat(guest.register(Cpu.RBX))
              .as("condition %x of %x and %x", condition, a, b)
              .isEqualTo(1 - holds);
        }
      }
      assertThat(cpu.rip).isEqualTo(Guest.CODE + 32L * condition + length + 8);
    }
  }
}
