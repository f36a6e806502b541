package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Exceptions of VEX-coded vector instructions, and what they leave as it was.
class AvxFaultTest {
  /// The end of the mapped 2 MiB page.
  private static final long END = MachineState.CODE + 0x20_0000;

  private final EngineProcessor engine = new EngineProcessor();
  private final Cpu cpu = engine.cpu();
  private final MachineState state = new MachineState();

  private int run(String code) {
    return engine.executeToFault(InstructionForms.parse(code), state);
  }

  private void set(int register, String quadwords) {
    var parts = quadwords.trim().split(" ", -1);
    state.xmm[2 * register] = Long.parseUnsignedLong(parts[0], 16);
    state.xmm[2 * register + 1] = Long.parseUnsignedLong(parts[1], 16);
    state.ymm[2 * register] = Long.parseUnsignedLong(parts[2], 16);
    state.ymm[2 * register + 1] = Long.parseUnsignedLong(parts[3], 16);
  }

  /// Results of an Intel Xeon (family 6, model 143), read in its signal handler: code, MXCSR
  /// before, YMM0, YMM1 and YMM2 alike (lowest quadword first), MXCSR after. The exceptions of
  /// both lanes count together.
  @ParameterizedTest
  @ValueSource(
      strings = {
        // VDIVPD: zero divide in the upper lane, an inexact quotient in the lower
        "c5fd5ec1, 0d80, 3ff0000000000000 3ff0000000000000 3ff0000000000000 3ff0000000000000, 4008000000000000 3ff0000000000000 0 3ff0000000000000, 0d84",
        // the same, only precision unmasked
        "c5fd5ec1, 0f80, 3ff0000000000000 3ff0000000000000 3ff0000000000000 3ff0000000000000, 4008000000000000 3ff0000000000000 0 3ff0000000000000, 0fa4",
        // the same, only zero divide unmasked
        "c5fd5ec1, 1d80, 3ff0000000000000 3ff0000000000000 3ff0000000000000 3ff0000000000000, 4008000000000000 3ff0000000000000 0 3ff0000000000000, 1d84",
        // VDIVPD: the other way round
        "c5fd5ec1, 0d80, 3ff0000000000000 3ff0000000000000 3ff0000000000000 3ff0000000000000, 0 3ff0000000000000 4008000000000000 3ff0000000000000, 0d84",
        // the same, only precision unmasked
        "c5fd5ec1, 0f80, 3ff0000000000000 3ff0000000000000 3ff0000000000000 3ff0000000000000, 0 3ff0000000000000 4008000000000000 3ff0000000000000, 0fa4",
        // VMULPD: overflow unmasked beside a denormal and a signalling NaN
        "c5fd59c1, 1b80, 3ff0000000000000 3ff0000000000000 7fe0000000000000 1, 4008000000000000 1 7fe0000000000000 7ff4000000000000, 1b8b",
        // the same, nothing masked
        "c5fd59c1, 0000, 3ff0000000000000 3ff0000000000000 7fe0000000000000 1, 4008000000000000 1 7fe0000000000000 7ff4000000000000, 0003",
        // the same, only invalid unmasked
        "c5fd59c1, 1f00, 3ff0000000000000 3ff0000000000000 7fe0000000000000 1, 4008000000000000 1 7fe0000000000000 7ff4000000000000, 1f03",
        // VMULPD: exact overflow in the upper lane
        "c5fd59c1, 1b80, 3ff0000000000000 3ff0000000000000 7fe0000000000000 3ff0000000000000, 4008000000000000 3ff0000000000001 7fe0000000000000 3ff0000000000000, 1b88",
        // VDPPS: a product overflows in the upper lane, one is inexact in the lower
        "c4e37d40c1ff, 1b80, 3f8000013f800001 3f8000013f800001 7f0000007f000000 3f8000003f800000, 3f8000013f800001 3f8000013f800001 7f0000007f000000 3f8000003f800000, 1ba8",
        // the same, only precision unmasked
        "c4e37d40c1ff, 0f80, 3f8000013f800001 3f8000013f800001 7f0000007f000000 3f8000003f800000, 3f8000013f800001 3f8000013f800001 7f0000007f000000 3f8000003f800000, 0fa8",
        // VDPPS: a sum overflows in the upper lane
        "c4e37d40c1ff, 1b80, 3f8000003f800000 3f8000003f800000 7f7fffff7f7fffff 3f8000003f800000, 3f8000003f800000 3f8000003f800000 3f8000003f800000 3f8000003f800000, 1b88",
        // VFMADD132PD: overflow in the upper lane, inexact below
        "c4e2f598c1, 1b80, 3ff0000000000000 3ff0000000000000 7fe0000000000000 3ff0000000000000, 4008000000000000 3ff0000000000001 7fe0000000000000 3ff0000000000000, 1ba8",
        // the same, only precision unmasked
        "c4e2f598c1, 0f80, 3ff0000000000000 3ff0000000000000 7fe0000000000000 3ff0000000000000, 4008000000000000 3ff0000000000001 7fe0000000000000 3ff0000000000000, 0fa8",
        // VCVTPS2PH: overflow
        "c4e37d1dc000, 1b80, 3f8000003f800000 3f8000003f800000 7f7fffff7f7fffff 3f8000003f800000, 3f8000003f800000 3f8000003f800000 3f8000003f800000 3f8000003f800000, 1ba8",
        // VCVTPS2PH: underflow, inexact
        "c4e37d1dc000, 1780, 3300000033000000 3f8000003f800000 3300000033000000 3f8000003f800001, 3f8000003f800000 3f8000003f800000 3f8000003f800000 3f8000003f800000, 17b0",
        // VCVTPS2PH: tiny and exact, underflow unmasked
        "c4e37d1dc000, 1780, 3380000033800000 3f8000003f800000 3380000033800000 3f8000003f800000, 3f8000003f800000 3f8000003f800000 3f8000003f800000 3f8000003f800000, 1790",
        // VCVTPS2PH: denormal operands, each of three unmasked
        "c4e37d1dc000, 1e80, 100000001 3f8000003f800000 100000001 3f8000003f800000, 3f8000003f800000 3f8000003f800000 3f8000003f800000 3f8000003f800000, 1e82",
        "c4e37d1dc000, 1780, 100000001 3f8000003f800000 100000001 3f8000003f800000, 3f8000003f800000 3f8000003f800000 3f8000003f800000 3f8000003f800000, 17b2",
        "c4e37d1dc000, 0f80, 100000001 3f8000003f800000 100000001 3f8000003f800000, 3f8000003f800000 3f8000003f800000 3f8000003f800000 3f8000003f800000, 0fb2",
        // VCVTPH2PS: signalling NaN
        "c4e27d13c0, 1f00, 7e017c00fc017bff 0 3c003c003c003c00 0, 7e017c00fc017bff 0 3c003c003c003c00 0, 1f01",
        // VCVTPD2PS: overflow in the upper lane
        "c5fd5ac0, 1b80, 3ff0000000000000 3ff0000000000000 7fe0000000000000 3ff0000000000000, 4008000000000000 3ff0000000000001 7fe0000000000000 3ff0000000000000, 1b88",
        // VHADDPS: overflow in the upper lane
        "c5ff7cc0, 1b80, 3f8000003f800000 3f8000003f800000 7f7fffff7f7fffff 3f8000003f800000, 3f8000003f800000 3f8000003f800000 7f7fffff7f7fffff 3f8000003f800000, 1b88",
        // VROUNDPD: inexact
        "c4e37d09c000, 0f80, 4008000000000000 3ff0000000000001 7fe0000000000000 3ff0000000000000, 4008000000000000 3ff0000000000001 7fe0000000000000 3ff0000000000000, 0fa0",
        // VCMPPD, less than: a signalling NaN and a denormal
        "c5fdc2c101, 1f00, 3ff0000000000000 3ff0000000000000 7fe0000000000000 1, 4008000000000000 1 7fe0000000000000 7ff4000000000000, 1f03",
        // VFMADD213SS: a denormal factor
        "c4e271a9c2, 1e80, 1 0 0 0, 3f800000 0 0 0, 1e82"
      })
  void unmaskedExceptionsChangeOnlyFlags(String text) {
    var parts = text.split(",", -1);
    state.mxcsr = Integer.parseInt(parts[1].trim(), 16);
    set(0, parts[2]);
    set(1, parts[3]);
    set(2, parts[3]);
    assertThat(run(parts[0])).isEqualTo(GuestFault.SIMD_FLOATING_POINT);
    var now = engine.state();
    assertThat(now.xmm).isEqualTo(state.xmm);
    assertThat(now.ymm).isEqualTo(state.ymm);
    assertThat("%04x".formatted(now.mxcsr)).isEqualTo(parts[4].trim());
  }

  @Test
  void unmaskedExceptionIsInvalidOpcodeWithoutSystemSupport() {
    cpu.cr4 &= ~Cpu.CR4_OSXMMEXCPT;
    state.mxcsr = 0x1D80;
    state.xmm[0] = Double.doubleToRawLongBits(1);
    assertThat(run("C5FB5EC1")).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(engine.state().mxcsr).isEqualTo(0x1D84);
  }

  // ---- Availability

  @Test
  void availabilityFollowsControlRegisters() {
    // VADDPS ymm, VZEROUPPER, VPCMPISTRI, VUCOMISS, VMOVD eax, VLDMXCSR [rax]
    String[] codes = {
      "C5FC58C1", "C5F877", "C4E37963C100", "C5F82EC1", "C5F97EC3", "C5F8AE10", "C4E2F198C1"
    };
    state.general[Cpu.RAX] = MachineState.MEMORY;
    state.setMemory(0, 0x1F80);
    expect(codes, -1);
    // OSFXSR and EM are SSE's alone.
    cpu.cr4 &= ~Cpu.CR4_OSFXSR;
    cpu.cr0 |= Cpu.CR0_EM;
    expect(codes, -1);
    cpu.cr0 |= Cpu.CR0_TS;
    expect(codes, GuestFault.DEVICE_NOT_AVAILABLE);
    cpu.cr4 &= ~Cpu.CR4_OSXSAVE;
    expect(codes, GuestFault.INVALID_OPCODE);
    cpu.cr4 |= Cpu.CR4_OSXSAVE;
    cpu.cr0 &= ~Cpu.CR0_TS;
    for (long xcr0 : new long[] {1, 3}) {
      cpu.xcr0 = xcr0;
      expect(codes, GuestFault.INVALID_OPCODE);
    }
    // BMI does not ask for any of it: ANDN
    assertThat(run("C4E278F2C1")).isEqualTo(-1);
  }

  private void expect(String[] codes, int vector) {
    for (String code : codes) {
      assertThat(run(code)).as(code).isEqualTo(vector);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        // LOCK, 66, F2, F3 and REX before VEX
        "F0C5FC58C1",
        "66C5FC58C1",
        "F2C5FC58C1",
        "F3C5FC58C1",
        "48C5FC58C1",
        "40C4E17458C1",
        // maps 0, 4 and 31
        "C4E07458C1",
        "C4E47458C1",
        "C4FF7458C1",
        // VGATHERDPS with two of the three registers alike, without SIB, of registers
        "C4E275920408",
        "C4E26D920410",
        "C4E26D921410",
        "C4E26D9200",
        "C4E26D92C1"
      })
  void invalidEncodings(String code) {
    state.general[Cpu.RAX] = MachineState.MEMORY;
    assertThat(run(code)).isEqualTo(GuestFault.INVALID_OPCODE);
  }

  @Test
  void segmentPrefixesMayStandBeforeVex() {
    state.general[Cpu.RAX] = MachineState.MEMORY + 1;
    state.setMemory(1, 77);
    cpu.segmentBase[Cpu.FS] = 0x10;
    assertThat(run("64C5F81048F0")).isEqualTo(-1);
    assertThat(engine.state().xmm[2]).isEqualTo(77);
    cpu.segmentBase[Cpu.FS] = 0;
  }

  // ---- Alignment

  @ParameterizedTest
  @ValueSource(
      strings = {
        // VMOVAPS, VMOVAPD, VMOVDQA, VMOVNTPS, VMOVNTDQ, VMOVNTDQA, with ymm and [rax]
        "C5FC2800",
        "C5FC2900",
        "C5FD2800",
        "C5FD6F00",
        "C5FD7F00",
        "C5FC2B00",
        "C5FDE700",
        "C4E27D2A00"
      })
  void alignedMovesOf32Bytes(String code) {
    state.general[Cpu.RAX] = MachineState.MEMORY + 16;
    assertThat(run(code)).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(cpu.fault.errorCode).isZero();
    state.general[Cpu.RAX] = MachineState.MEMORY + 32;
    assertThat(run(code)).isEqualTo(-1);
  }

  // ---- Page faults

  private void fillEnd() {
    for (int i = 8; i <= 64; i += 8) {
      cpu.store64(END - i, 0x0102_0304_0506_0708L * i);
    }
  }

  private void expectEndAsItWas() {
    for (int i = 8; i <= 64; i += 8) {
      assertThat(cpu.load64(END - i)).isEqualTo(0x0102_0304_0506_0708L * i);
    }
  }

  @Test
  void storeThatFaultsInTheSecondPageWritesNothing() {
    set(0, "1111111111111111 2222222222222222 3333333333333333 4444444444444444");
    // VMOVUPS ymm and xmm, VEXTRACTF128, VCVTPS2PH ymm
    String[] codes = {"C5FC1100", "C5F81100", "C4E37D190001", "C4E37D1D0000"};
    int[] sizes = {32, 16, 16, 16};
    for (int k = 0; k < codes.length; k++) {
      for (int inside = 1; inside < sizes[k]; inside++) {
        state.general[Cpu.RAX] = END - inside;
        fillEnd();
        assertThat(run(codes[k])).isEqualTo(GuestFault.PAGE_FAULT);
        assertThat(cpu.fault.address).isEqualTo(END);
        expectEndAsItWas();
        assertThat(engine.state().mxcsr).isEqualTo(state.mxcsr);
      }
    }
  }

  @Test
  void loadThatFaultsInTheSecondPageChangesNothing() {
    set(0, "1111111111111111 2222222222222222 3333333333333333 4444444444444444");
    // VMOVUPS ymm, VADDPS ymm, VPXOR ymm, VPERMQ ymm, VFMADD231PD ymm, VBROADCASTF128
    for (String code :
        new String[] {
          "C5FC1000", "C5FC5800", "C5FDEF00", "C4E3FD000055", "C4E2FDB800", "C4E27D1A00"
        }) {
      for (int inside = 1; inside < 16; inside++) {
        state.general[Cpu.RAX] = END - inside;
        assertThat(run(code)).isEqualTo(GuestFault.PAGE_FAULT);
        assertThat(cpu.fault.address).isEqualTo(END);
        assertThat(engine.state()).isEqualTo(withFlags(state));
      }
    }
  }

  /// IF is always set.
  private static MachineState withFlags(MachineState state) {
    var s = state.copy();
    s.flags |= Cpu.IF;
    return s;
  }

  @Test
  void masksKeepLoadsFromFaulting() {
    set(1, "8000000080000000 8000000080000000 0 0");
    set(0, "1 2 3 4");
    state.general[Cpu.RAX] = END - 16;
    fillEnd();
    // VMASKMOVPS ymm0, ymm1, [rax]
    assertThat(run("C4E2752C00")).isEqualTo(-1);
    assertThat(engine.state().xmm[0]).isEqualTo(cpu.load64(END - 16));
    assertThat(engine.state().ymm[0]).isZero();
    // VPMASKMOVQ with one element too many
    set(1, "8000000000000000 0 8000000000000000 0");
    assertThat(run("C4E2F58C00")).isEqualTo(GuestFault.PAGE_FAULT);
    assertThat(cpu.fault.address).isEqualTo(END);
    assertThat(engine.state().xmm[0]).isEqualTo(1);
    // Nothing chosen: nothing touched.
    set(1, "7fffffff7fffffff 0 0 0");
    state.general[Cpu.RAX] = END + 0x1000;
    assertThat(run("C4E2752C00")).isEqualTo(-1);
    assertThat(engine.state().xmm[0]).isZero();
  }

  @Test
  void masksKeepStoresFromFaulting() {
    set(0, "1111111111111111 2222222222222222 3333333333333333 4444444444444444");
    set(1, "8000000000000000 0 0 0");
    state.general[Cpu.RAX] = END - 8;
    fillEnd();
    // VMASKMOVPS [rax], ymm1, ymm0: the second of eight
    assertThat(run("C4E2752E00")).isEqualTo(-1);
    assertThat(cpu.load32(END - 4)).isEqualTo(0x1111_1111);
    assertThat(cpu.load32(END - 8)).isEqualTo((int) (0x0102_0304_0506_0708L * 8));
    // One that faults keeps the others from being written.
    fillEnd();
    set(1, "8000000080000000 80000000 0 0");
    assertThat(run("C4E2752E00")).isEqualTo(GuestFault.PAGE_FAULT);
    assertThat(cpu.fault.address).isEqualTo(END);
    expectEndAsItWas();
  }

  @Test
  void gatherThatFaultsGoesOnWhereItWas() {
    // VPGATHERDD ymm0, [rax + ymm2 * 4], ymm1: element 3 is beyond the end, 5 not chosen.
    set(0, "0 0 0 0");
    set(1, "ffffffff80000000 ffffffffffffffff 00000000ffffffff ffffffffffffffff");
    set(2, "0000000100000000 0000000800000002 0000000900000003 0000000500000004");
    state.general[Cpu.RAX] = END - 32;
    for (int k = 0; k < 8; k++) {
      cpu.store32(END - 32 + 4 * k, 100 + k);
    }
    String code = "C4E275900490";
    assertThat(run(code)).isEqualTo(GuestFault.PAGE_FAULT);
    assertThat(cpu.fault.address).isEqualTo(END);
    var now = engine.state();
    assertThat(now.xmm[0]).isEqualTo(101L << 32 | 100);
    assertThat(now.xmm[1]).isEqualTo(102);
    assertThat(now.xmm[2]).isZero();
    assertThat(now.xmm[3]).isEqualTo(0xFFFF_FFFF_0000_0000L);
    assertThat(now.ymm[2]).isEqualTo(0xFFFF_FFFFL);
    assertThat(now.ymm[3]).isEqualTo(-1L);
    // With the element in reach it ends, from where it was.
    now.xmm[5] = 6L << 32 | 2;
    cpu.store32(END - 32, -1);
    assertThat(engine.executeToFault(InstructionForms.parse(code), now)).isEqualTo(-1);
    now = engine.state();
    assertThat(now.xmm[0]).isEqualTo(101L << 32 | 100);
    assertThat(now.xmm[1]).isEqualTo(106L << 32 | 102);
    assertThat(now.ymm[0]).isEqualTo(103);
    assertThat(now.ymm[1]).isEqualTo(105L << 32 | 104);
    assertThat(now.xmm[2] | now.xmm[3] | now.ymm[2] | now.ymm[3]).isZero();
  }

  // ---- State

  @Test
  void controlRegisterWithReservedBitsIsRefused() {
    state.general[Cpu.RAX] = MachineState.MEMORY;
    state.setMemory(0, 0x1_1F80);
    assertThat(run("C5F8AE10")).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(engine.state().mxcsr).isEqualTo(0x1F80);
  }

  @Test
  void restoreWithoutTheAvxComponentReadsNothingOfIt() {
    // XRSTOR [rax] with a standard image that ends with its header at the end of memory.
    long image = END - 576;
    for (int i = 0; i < 576; i += 8) {
      cpu.store64(image + i, 0);
    }
    cpu.store64(image + 24, 0x1F80);
    state.general[Cpu.RAX] = 7;
    state.general[Cpu.RSI] = image;
    set(3, "1 2 3 4");
    assertThat(run("0FAE2E")).isEqualTo(-1);
    assertThat(engine.state().ymm[6]).isZero();
    // XSAVE with it in use does.
    set(3, "1 2 3 4");
    assertThat(run("0FAE26")).isEqualTo(GuestFault.PAGE_FAULT);
    // XSAVEOPT with it initial does not.
    set(3, "1 2 0 0");
    assertThat(run("0FAE36")).isEqualTo(-1);
  }
}
