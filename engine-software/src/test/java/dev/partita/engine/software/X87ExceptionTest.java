package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Exceptions of x87 and state image instructions, by specification: Intel SDM volume 1, 8.6 and
/// 13; volume 3, 2.5 and 6.15.
class X87ExceptionTest {
  /// FLD1; FLDZ; FDIVP: a division by zero.
  private static final String DIVIDE_BY_ZERO = "D9 E8 D9 EE DE F9";

  private static final int IMAGE = 0x400;

  private final EngineProcessor processor = new EngineProcessor();

  private int run(String code, MachineState state) {
    return processor.executeToFault(InstructionForms.parse(code), state);
  }

  private static MachineState unmasked() {
    var state = new MachineState();
    state.setControlWord(0x340);
    return state;
  }

  private long offset() {
    return processor.cpu().rip - MachineState.CODE;
  }

  @Test
  void unmaskedExceptionIsRaisedByTheNextWaitingInstruction() {
    assertThat(run(DIVIDE_BY_ZERO + "90 D9 E0", unmasked())).isEqualTo(GuestFault.FLOATING_POINT);
    assertThat(offset()).isEqualTo(7);
    var after = processor.state();
    assertThat(after.statusWord() & (X87.SUMMARY | X87.BUSY | X87.ZERO_DIVIDE))
        .isEqualTo(X87.SUMMARY | X87.BUSY | X87.ZERO_DIVIDE);
    // Neither popped nor changed.
    assertThat(after.tags()).isEqualTo(0xC0);
    assertThat(after.exponent(1)).isEqualTo(0x3FFF);
  }

  @Test
  void instructionPointersAreThoseOfTheExcepting() {
    var state = unmasked();
    // FDIV m32 of 0.
    assertThat(run("D9 E8 D8 34 25 00 04 30 00", state)).isEqualTo(-1);
    var x = processor.cpu().x87;
    assertThat(x.instructionPointer).isEqualTo(MachineState.CODE + 2);
    assertThat(x.dataPointer).isEqualTo(MachineState.MEMORY + IMAGE);
    assertThat(x.opcode).isEqualTo(0x034);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "DD 3C 25 00 04 30 00", // FNSTSW
        "DF E0",
        "D9 3C 25 00 04 30 00", // FNSTCW
        "D9 34 25 00 04 30 00", // FNSTENV
        "DD 34 25 00 04 30 00", // FNSAVE
        "DB E2", // FNCLEX
        "DB E3", // FNINIT
        "0F AE 04 25 00 04 30 00", // FXSAVE
        "0F AE 24 25 00 04 30 00" // XSAVE
      })
  void instructionsThatDoNotWaitLeaveItPending(String code) {
    assertThat(run(DIVIDE_BY_ZERO + code, unmasked())).isEqualTo(-1);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "9B", // FWAIT
        "D9 E8", // FLD1
        "D9 2C 25 00 04 30 00", // FLDCW
        "D9 24 25 00 04 30 00", // FLDENV
        "DD 24 25 00 04 30 00", // FRSTOR
        "DB 3C 25 00 04 30 00", // FSTP m80
        "DD C0", // FFREE
        "0F 6F C1", // MOVQ MM0, MM1
        "0F 77" // EMMS
      })
  void instructionsThatWaitRaiseIt(String code) {
    assertThat(run(DIVIDE_BY_ZERO + code, unmasked())).isEqualTo(GuestFault.FLOATING_POINT);
    assertThat(offset()).isEqualTo(6);
  }

  @Test
  void clearedExceptionIsNotRaised() {
    assertThat(run(DIVIDE_BY_ZERO + "DB E2 D9 E0 9B", unmasked())).isEqualTo(-1);
  }

  @Test
  void unmaskingAStickyFlagRaisesIt() {
    var state = new MachineState();
    state.setMemory(IMAGE, 0x340);
    // Masked division; FLDCW; FWAIT.
    assertThat(run(DIVIDE_BY_ZERO + "D9 2C 25 00 04 30 00 9B", state))
        .isEqualTo(GuestFault.FLOATING_POINT);
    assertThat(offset()).isEqualTo(13);
  }

  @ParameterizedTest
  @CsvSource({
    "D9 E8, 8, 7", // TS
    "D9 E8, 4, 7", // EM
    "DB E3, 8, 7",
    "DF E0, 4, 7",
    "9B, 8, -1",
    "9B, 2, -1",
    "9B, 10, 7", // MP and TS
    "9B, 4, -1",
    "0F AE 04 25 00 04 30 00, 8, 7",
    "0F AE 04 25 00 04 30 00, 4, 7",
    "0F AE 24 25 00 04 30 00, 8, 7",
    "0F AE 24 25 00 04 30 00, 4, -1"
  })
  void unitMayBeUnavailable(String code, long bits, int vector) {
    var c = processor.cpu();
    c.cr0 = c.cr0 & ~(Cpu.CR0_MP | Cpu.CR0_EM | Cpu.CR0_TS) | bits;
    assertThat(run(code, new MachineState())).isEqualTo(vector);
  }

  @ParameterizedTest
  @CsvSource({
    "0F AE 04 25 08 04 30 00", // FXSAVE, 8-byte aligned
    "0F AE 0C 25 08 04 30 00", // FXRSTOR
    "0F AE 24 25 20 04 30 00", // XSAVE, 32-byte aligned
    "0F AE 2C 25 20 04 30 00", // XRSTOR
    "0F AE 34 25 20 04 30 00", // XSAVEOPT
    "0F C7 24 25 20 04 30 00" // XSAVEC
  })
  void imagesMustBeAligned(String code) {
    var state = MachineState.random(new Random(1));
    assertThat(run(code, state)).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(Differential.difference(state, processor.state(), 0)).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "0F AE 24 25 00 04 30 00",
        "0F AE 2C 25 00 04 30 00",
        "0F AE 34 25 00 04 30 00",
        "0F C7 24 25 00 04 30 00"
      })
  void extendedSavesNeedTheSystem(String code) {
    processor.cpu().cr4 &= ~Cpu.CR4_OSXSAVE;
    assertThat(run(code, new MachineState())).isEqualTo(GuestFault.INVALID_OPCODE);
  }

  /// @param present XSTATE_BV
  /// @param format XCOMP_BV
  /// @param third the next word of the header
  /// @param last the last word of the header
  /// @param mxcsr at byte 24
  @ParameterizedTest
  @CsvSource({
    "3, 0, 0, 0, 1F80, -1",
    "7, 0, 0, 0, 1F80, -1",
    "8, 0, 0, 0, 1F80, 13", // a component that XCR0 does not enable
    "8000000000000000, 0, 0, 0, 1F80, 13",
    "3, 1, 0, 0, 1F80, 13", // XCOMP_BV in the standard format
    "3, 0, 1, 0, 1F80, 13",
    "3, 0, 0, 1, 1F80, -1", // bytes 63:24 are not looked at
    "3, 0, 0, 0, 10000, 13", // MXCSR
    "1, 0, 0, 0, 10000, 13", // MXCSR counts even if SSE is initial
    "3, 8000000000000003, 0, 0, 1F80, -1",
    "1, 8000000000000001, 0, 0, 10000, -1", // but not in the compacted format
    "3, 8000000000000001, 0, 0, 1F80, 13", // present and not in the format
    "4, 8000000000000007, 0, 0, 1F80, -1",
    "3, 800000000000000B, 0, 0, 1F80, 13",
    "3, 8000000000000003, 1, 0, 1F80, 13",
    "3, 8000000000000003, 0, 1, 1F80, 13"
  })
  void restoreChecksTheHeader(
      String present, String format, long third, long last, String mxcsr, int vector) {
    var state = MachineState.random(new Random(2));
    state.general[Cpu.RAX] = 3;
    state.general[Cpu.RDX] = 0;
    state.setMemory(IMAGE + 24, Long.parseUnsignedLong(mxcsr, 16));
    state.setMemory(IMAGE + 512, Long.parseUnsignedLong(present, 16));
    state.setMemory(IMAGE + 520, Long.parseUnsignedLong(format, 16));
    state.setMemory(IMAGE + 528, third);
    for (int i = 24; i < 56; i += 8) {
      state.setMemory(IMAGE + 512 + i, 0);
    }
    state.setMemory(IMAGE + 568, last);
    assertThat(run("0F AE 2C 25 00 04 30 00", state)).isEqualTo(vector);
    if (vector >= 0) {
      assertThat(Differential.difference(state, processor.state(), 0)).isEmpty();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "0F AE 04 25, 0xFE00, 512", // FXSAVE
    "0F AE 24 25, 0xFDC0, 576", // XSAVE
    "DD 34 25, 0xFF94, 108", // FNSAVE
    "D9 34 25, 0xFFE4, 28", // FNSTENV
    "DB 3C 25, 0xFFF6, 10" // FSTP m80
  })
  void storeThatFaultsHalfWayStoresNothing(String opcode, int fits, int size) {
    // The last bytes of the mapped region, at 2 MiB less something from its start.
    var state = X87States.random(new Random(3), false);
    state.general[Cpu.RAX] = 3;
    state.general[Cpu.RDX] = 0;
    long last = MachineState.CODE + 0x1F_0000L + fits;
    assertThat(last + size).isEqualTo(MachineState.CODE + 0x20_0000L);
    assertThat(run(code(opcode, last), state)).isEqualTo(-1);
    long beyond = last + (opcode.startsWith("0F") ? 64 : 2);
    var memory = processor.cpu().owner.partition().memory();
    long physical = 0x20_0000L + beyond - MachineState.CODE;
    byte[] before = memory.read(physical, (int) (MachineState.CODE + 0x20_0000L - beyond));
    state = X87States.random(new Random(4), false);
    state.general[Cpu.RAX] = 3;
    state.general[Cpu.RDX] = 0;
    assertThat(run(code(opcode, beyond), state)).isEqualTo(GuestFault.PAGE_FAULT);
    assertThat(memory.read(physical, before.length)).isEqualTo(before);
    assertThat(Differential.difference(state, processor.state(), 0)).isEmpty();
  }

  private static String code(String opcode, long address) {
    return opcode + "%08X".formatted(Integer.reverseBytes((int) address));
  }

  @Test
  void realModeEnvironmentHoldsLinearPointers() {
    try (var guest = new Guest()) {
      guest.realMode();
      // mov ax, 100h; mov ds, ax; fninit; fldcw [0]; fld1; fdiv dword [4]; fnstenv [10h]; hlt
      guest.code(Guest.CODE, "B8 00 06 8E D8 DB E3 D9 2E 00 00 D9 E8 D8 36 04 00 D9 36 10 00 F4");
      guest.memory.writeInt(0x6000, 0x340);
      guest.memory.writeInt(0x6004, 0);
      guest.run();
      long at = 0x6010;
      assertThat(guest.memory.readShort(at)).isEqualTo((short) 0x340);
      assertThat(guest.memory.readShort(at + 2) & X87.ZERO_DIVIDE).isNotZero();
      assertThat(guest.memory.readShort(at + 4)).isEqualTo((short) 0x3FFF);
      assertThat(guest.memory.readShort(at + 6)).isEqualTo((short) (Guest.CODE + 13));
      // Bits 19:16 of the pointer, and the opcode D8 36.
      assertThat(guest.memory.readShort(at + 8)).isEqualTo((short) 0x0036);
      assertThat(guest.memory.readShort(at + 10)).isEqualTo((short) 0x6004);
      assertThat(guest.memory.readShort(at + 12)).isZero();
    }
  }
}
