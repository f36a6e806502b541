package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Exceptions of vector instructions, and what they leave as it was.
class VectorFaultTest {
  /// The end of the mapped 2 MiB page.
  private static final long END = MachineState.CODE + 0x20_0000;

  private final EngineProcessor engine = new EngineProcessor();
  private final Cpu cpu = engine.cpu();
  private final MachineState state = new MachineState();

  private int run(String code) {
    return engine.executeToFault(InstructionForms.parse(code), state);
  }

  /// Results of an Intel Xeon (family 6, model 167) for `op xmm0, xmm1`, read in its signal
  /// handler: exceptions before the work hide those after it; a tiny result counts as underflow
  /// even if exact; overflow and underflow are inexact only with an exponent of any size.
  @ParameterizedTest
  @CsvSource({
    // DIVSD: denormal by zero with zero-divide and denormal unmasked
    "F20F5EC1, 1c80, 1, 0, 0, 0, 1c84",
    // MULSD: tiny and exact, underflow unmasked, flush-to-zero off and on
    "F20F59C1, 1780, 0010000000000000, 0, 3fe0000000000000, 0, 1790",
    "F20F59C1, 9780, 0010000000000000, 0, 3fe0000000000000, 0, 9790",
    "F20F59C1, 0780, 0010000000000001, 0, 3fe0000000000000, 0, 0790",
    // MULSD: overflow, exact and not
    "F20F59C1, 1b80, 7fe0000000000000, 0, 7fe0000000000000, 0, 1b88",
    "F20F59C1, 1b80, 7fe0000000000001, 0, 7fe0000000000001, 0, 1ba8",
    // MULSD: inexact
    "F20F59C1, 0f80, 3ff0000000000001, 0, 3ff0000000000001, 0, 0fa0",
    // DIVPD: zero divide and an inexact quotient beside it
    "660F5EC1, 0d80, 3ff0000000000000, 3ff0000000000000, 0, 4008000000000000, 0d84",
    "660F5EC1, 0f80, 3ff0000000000000, 3ff0000000000000, 0, 4008000000000000, 0fa4",
    "660F5EC1, 1d80, 3ff0000000000000, 1, 0, 4008000000000000, 1d86",
    "660F5EC1, 1d80, 3ff0000000000000, 7ff4000000000000, 0, 4008000000000000, 1d85",
    // CVTTSS2SI: inexact
    "F30F2CC1, 0f80, 0, 0, 3f800001, 0, 0fa0"
  })
  void unmaskedExceptionsChangeOnlyFlags(
      String code, String before, String a, String b, String x, String y, String after) {
    state.mxcsr = Integer.parseInt(before, 16);
    state.xmm[0] = Long.parseUnsignedLong(a, 16);
    state.xmm[1] = Long.parseUnsignedLong(b, 16);
    state.xmm[2] = Long.parseUnsignedLong(x, 16);
    state.xmm[3] = Long.parseUnsignedLong(y, 16);
    assertThat(run(code)).isEqualTo(GuestFault.SIMD_FLOATING_POINT);
    var now = engine.state();
    assertThat(now.xmm).isEqualTo(state.xmm);
    assertThat(now.general).isEqualTo(state.general);
    assertThat(Integer.toHexString(now.mxcsr))
        .isEqualTo(Integer.toHexString(Integer.parseInt(after, 16)));
  }

  @Test
  void conversionToMmxRegisterEntersMmxStateEvenIfItFaults() {
    state.mxcsr = 0;
    state.setTags(0x80);
    state.setStatusWord(7 << 11);
    state.xmm[2] = Float.floatToRawIntBits(1.5f);
    // CVTPS2PI, CVTTPS2PI mm0, xmm1
    for (String code : new String[] {"0F2DC1", "0F2CC1"}) {
      assertThat(run(code)).isEqualTo(GuestFault.SIMD_FLOATING_POINT);
      assertThat(engine.state().tags()).isEqualTo(0xFF);
      assertThat(engine.state().statusWord()).isZero();
    }
  }

  @Test
  void flagsSetBeforeDoNotRaise() {
    // All flags set, all unmasked: an exact sum.
    state.mxcsr = 0x3F;
    state.xmm[0] = Double.doubleToRawLongBits(1);
    state.xmm[2] = Double.doubleToRawLongBits(2);
    assertThat(run("F20F58C1")).isEqualTo(-1);
    assertThat(Double.longBitsToDouble(engine.state().xmm[0])).isEqualTo(3);
    assertThat(engine.state().mxcsr).isEqualTo(0x3F);
  }

  @Test
  void unmaskedExceptionIsInvalidOpcodeWithoutSystemSupport() {
    cpu.cr4 &= ~Cpu.CR4_OSXMMEXCPT;
    state.mxcsr = 0x1D80;
    state.xmm[0] = Double.doubleToRawLongBits(1);
    assertThat(run("F20F5EC1")).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(engine.state().mxcsr).isEqualTo(0x1D84);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        // MOVAPS, MOVDQA, MOVNTDQ, MOVNTDQA, PADDB, ADDPD, HADDPS, CVTPD2PI, AESENC with [rax]
        "0F2800",
        "660F6F00",
        "660FE700",
        "660F382A00",
        "660FFC00",
        "660F5800",
        "F20F7C00",
        "660F2D00",
        "660F38DC00"
      })
  void unalignedOperandIsGeneralProtection(String code) {
    state.general[Cpu.RAX] = MachineState.MEMORY + 8;
    assertThat(run(code)).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(cpu.fault.errorCode).isZero();
    state.general[Cpu.RAX] = MachineState.MEMORY + 16;
    assertThat(run(code)).isEqualTo(-1);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        // MOVUPS, LDDQU, MOVQ, ADDSD, PCMPISTRI, PMOVZXBW, PINSRW with [rax]
        "0F1000",
        "F20FF000",
        "F30F7E00",
        "F20F5800",
        "660F3A630000",
        "660F383000",
        "660FC40000"
      })
  void otherOperandsNeedNoAlignment(String code) {
    state.general[Cpu.RAX] = MachineState.MEMORY + 1;
    assertThat(run(code)).isEqualTo(-1);
  }

  @Test
  void storeThatFaultsInTheSecondPageWritesNothing() {
    state.xmm[0] = 0x1111_1111_1111_1111L;
    state.xmm[1] = 0x2222_2222_2222_2222L;
    for (String code : new String[] {"0F1100", "660F1100", "F30F7F00"}) {
      for (int inside = 1; inside < 16; inside++) {
        state.general[Cpu.RAX] = END - inside;
        cpu.store64(END - 8, 0x0102_0304_0506_0708L);
        cpu.store64(END - 16, 0x0102_0304_0506_0708L);
        assertThat(run(code)).isEqualTo(GuestFault.PAGE_FAULT);
        assertThat(cpu.fault.address).isEqualTo(END);
        assertThat(cpu.load64(END - 8)).isEqualTo(0x0102_0304_0506_0708L);
        assertThat(cpu.load64(END - 16)).isEqualTo(0x0102_0304_0506_0708L);
      }
    }
  }

  @Test
  void maskedStoreThatFaultsWritesNothing() {
    state.general[Cpu.RDI] = END - 4;
    state.xmm[0] = -1;
    state.xmm[2] = 0x8080_8080_8080_8080L;
    cpu.store32(END - 4, 0x1234_5678);
    assertThat(run("660FF7C1")).isEqualTo(GuestFault.PAGE_FAULT);
    assertThat(cpu.load32(END - 4)).isEqualTo(0x1234_5678);
    // An empty mask touches nothing.
    state.xmm[2] = 0;
    assertThat(run("660FF7C1")).isEqualTo(-1);
  }

  @Test
  void faultingMmxInstructionDoesNotEnterMmxState() {
    state.general[Cpu.RAX] = END;
    state.setTags(3);
    state.setStatusWord(5 << 11);
    // MOVQ, PADDB, MOVQ to memory, PINSRW
    for (String code : new String[] {"0F6F00", "0FFC00", "0F7F00", "0FC40000"}) {
      assertThat(run(code)).isEqualTo(GuestFault.PAGE_FAULT);
      assertThat(engine.state().tags()).isEqualTo(3);
      assertThat(engine.state().statusWord()).isEqualTo(5 << 11);
    }
  }

  @Test
  void availabilityFollowsControlRegisters() {
    String sse = "0F58C1";
    String mmx = "0FFCC1";
    assertThat(run(sse)).isEqualTo(-1);
    assertThat(run(mmx)).isEqualTo(-1);
    cpu.cr0 |= Cpu.CR0_TS;
    assertThat(run(sse)).isEqualTo(GuestFault.DEVICE_NOT_AVAILABLE);
    assertThat(run(mmx)).isEqualTo(GuestFault.DEVICE_NOT_AVAILABLE);
    cpu.cr0 |= Cpu.CR0_EM;
    assertThat(run(sse)).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(run(mmx)).isEqualTo(GuestFault.INVALID_OPCODE);
    cpu.cr0 &= ~(Cpu.CR0_TS | Cpu.CR0_EM);
    cpu.cr4 &= ~Cpu.CR4_OSFXSR;
    assertThat(run(sse)).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(run(mmx)).isEqualTo(-1);
  }

  @Test
  void pendingX87ExceptionComesFirst() {
    // Zero divide pending and not masked.
    state.x87[0] = 0x7B;
    state.setStatusWord(4);
    for (String code :
        new String[] {"0FFCC1", "F30FD6C1", "F20FD6C1", "0F2AC1", "0F2DC1", "0F77"}) {
      assertThat(run(code)).isEqualTo(GuestFault.FLOATING_POINT);
    }
    // CVTPI2PS and CVTPI2PD from memory, ADDPS do not look.
    state.general[Cpu.RAX] = MachineState.MEMORY;
    for (String code : new String[] {"0F2A00", "660F2A00", "0F58C1"}) {
      assertThat(run(code)).isEqualTo(-1);
    }
  }

  @Test
  void controlRegisterWithReservedBitsIsRefused() {
    state.general[Cpu.RAX] = MachineState.MEMORY;
    state.setMemory(0, 0x1_1F80);
    assertThat(run("0FAE10")).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(engine.state().mxcsr).isEqualTo(0x1F80);
    state.setMemory(0, 0xFFFF);
    assertThat(run("0FAE10")).isEqualTo(-1);
    assertThat(engine.state().mxcsr).isEqualTo(0xFFFF);
    assertThat(run("0FAE10 0FAE5804")).isEqualTo(-1);
    assertThat(engine.state().memory(0)).isEqualTo(0xFFFF_0000_FFFFL);
  }

  @Test
  void upperHalvesStay() {
    state.ymm[2] = 6;
    state.ymm[3] = 7;
    state.general[Cpu.RAX] = MachineState.MEMORY;
    // MOVAPS, PXOR, ADDPD, MOVQ, CVTDQ2PD of xmm1
    assertThat(run("0F2808 660FEFC9 660F58CA F30F7ECA F30FE6CA")).isEqualTo(-1);
    assertThat(cpu.xmm[6]).isEqualTo(6);
    assertThat(cpu.xmm[7]).isEqualTo(7);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        // MOVLPD, MOVNTPS, LDDQU, MOVNTI, MOVNTDQA between registers
        "660F12C1",
        "0F2BC1",
        "F20FF0C1",
        "0FC3C1",
        "660F382AC1",
        // PSRLW with memory, PMOVMSKB of memory, a prefix with no meaning, LDMXCSR with 66
        "0F711601",
        "660FD700",
        "F20FFCC1",
        "660FAE10"
      })
  void invalidEncodings(String code) {
    state.general[Cpu.RAX] = MachineState.MEMORY;
    assertThat(run(code)).isEqualTo(GuestFault.INVALID_OPCODE);
  }
}
