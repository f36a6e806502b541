package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// Ways into and out of the kernel in long mode: IRETQ, SYSCALL and SYSRET, SYSENTER, call gates,
/// SWAPGS and segment bases.
class SystemCallTest {
  private final Guest guest = new Guest().longMode();

  @AfterEach
  void close() {
    guest.close();
  }

  @Test
  void iretqGoesToUserModeAndBackBySystemCall() {
    guest.cpu().msrs.star = (long) (Guest.USER_CODE32 & ~3) << 48 | (long) Guest.CODE64 << 32;
    guest.cpu().msrs.lstar = 0x6000;
    guest.cpu().msrs.fmask = Cpu.IF | Cpu.DF;
    // push 0x23
    // push 0x5800
    // push 0x602
    // push 0x2b
    // push 0x4000
    // iretq
    guest.code(Guest.CODE, "6a23 6800580000 6802060000 6a2b 6800400000 48cf");
    // mov eax, cs
    // mov ebx, ss
    // stc
    // syscall
    guest.code(Guest.USER_CODE, "8cc8 8cd3 f9 0f05");
    // mov esi, cs
    // mov edi, ss
    // pushfq
    // pop rdx
    // hlt
    guest.code(0x6000, "8cce 8cd7 9c 5a f4");
    // RSP stays the user's: make its page the kernel's own.
    guest.run();
    assertThat(guest.register(Cpu.RAX)).isEqualTo(Guest.USER_CODE64);
    assertThat(guest.register(Cpu.RBX)).isEqualTo(Guest.USER_DATA3);
    assertThat(guest.register(Cpu.RCX)).isEqualTo(Guest.USER_CODE + 7);
    assertThat(guest.register(11) & (Cpu.IF | Cpu.DF | Cpu.CF)).isEqualTo(Cpu.IF | Cpu.DF | Cpu.CF);
    assertThat(guest.register(Cpu.RDX) & (Cpu.IF | Cpu.DF | Cpu.CF)).isEqualTo(Cpu.CF);
    assertThat(guest.register(Cpu.RSI)).isEqualTo(Guest.CODE64);
    assertThat(guest.register(Cpu.RDI)).isEqualTo(Guest.DATA0);
    assertThat(guest.register(Cpu.RSP)).isEqualTo(0x5800);
  }

  @Test
  void sysretqReturnsTo64BitUserCode() {
    guest.cpu().msrs.star = (long) (Guest.USER_CODE32 & ~3) << 48 | (long) Guest.CODE64 << 32;
    // mov eax, cs
    // mov ebx, ss
    // pushfq
    // pop rdx
    // ud2
    guest.code(Guest.USER_CODE, "8cc8 8cd3 9c 5a 0f0b");
    // mov ecx, 0x4000
    // mov r11d, 0x13247
    // mov esp, 0x5800
    // o64 sysret
    guest.code(Guest.CODE, "b900400000 41bb47320100 bc00580000 480f07");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(guest.register(Cpu.RAX)).isEqualTo(Guest.USER_CODE64);
    assertThat(guest.register(Cpu.RBX)).isEqualTo(Guest.USER_DATA3);
    assertThat(guest.register(Cpu.RDX)).isEqualTo(0x3247);
    assertThat(guest.frame(1)).isEqualTo(Guest.USER_CODE64);
  }

  @Test
  void sysretlReturnsToCompatibilityMode() {
    guest.cpu().msrs.star = (long) (Guest.USER_CODE32 & ~3) << 48 | (long) Guest.CODE64 << 32;
    // In 64-bit mode 48 would be a REX prefix; here it is DEC EAX.
    guest.code(Guest.USER_CODE, "48 0f 0b");
    // mov ecx, 0x4000
    // mov r11d, 2
    // mov eax, 5
    // sysret
    guest.code(Guest.CODE, "b900400000 41bb02000000 b805000000 0f07");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(guest.register(Cpu.RAX)).isEqualTo(4);
    assertThat(guest.frame(1)).isEqualTo(Guest.USER_CODE32);
  }

  @Test
  void sysretToNonCanonicalAddressFaultsInTheKernel() {
    // mov rcx, 0x800000000000
    // o64 sysret
    guest.code(Guest.CODE, "48b90000000000800000 480f07");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.frame(2)).isEqualTo(Guest.CODE64);
  }

  @Test
  void syscallWithoutSceIsInvalid() {
    guest.cpu().efer &= ~Cpu.EFER_SCE;
    guest.code(Guest.CODE, "0f 05");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
  }

  @Test
  void syscallIsInvalidInCompatibilityMode() {
    guest.user();
    Segments.setFlat(guest.cpu(), Cpu.CS, Guest.USER_CODE32, 0xC0FB);
    guest.cpu().modeChanged();
    guest.code(Guest.USER_CODE, "0f 05");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
  }

  @Test
  void sysenterEnters64BitModeAndSysexitReturns() {
    guest.cpu().msrs.sysenterCs = Guest.CODE64;
    guest.cpu().msrs.sysenterEsp = 0x3_1000;
    guest.cpu().msrs.sysenterEip = 0x6000;
    // mov rsi, rsp
    // mov edx, 0x4100
    // mov ecx, 0x5f00
    // o64 sysexit
    guest.code(0x6000, "4889e6 ba00410000 b9005f0000 480f35");
    guest.code(0x4100, "0f 0b");
    guest.user().code(Guest.USER_CODE, "0f 34");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(guest.register(Cpu.RSI)).isEqualTo(0x3_1000);
    assertThat(guest.frame(0)).isEqualTo(0x4100);
    assertThat(guest.frame(1)).isEqualTo(Guest.CODE64 + 32 | 3);
    assertThat(guest.frame(3)).isEqualTo(0x5F00);
    assertThat(guest.frame(4)).isEqualTo(Guest.CODE64 + 40 | 3);
  }

  @Test
  void sysenterWithNullSelectorIsGeneralProtection() {
    guest.user().code(Guest.USER_CODE, "0f 34");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.frame(0)).isZero();
  }

  @Test
  void iretqAtTheSameLevelTakesTheStackFromTheFrame() {
    // push 0x10
    // push 0x2f000
    // pushfq
    // push 0x08
    // push next
    // iretq
    // next: mov rax, rsp
    // hlt
    guest.code(Guest.CODE, "6a10 6800f00200 9c 6a08 6811100000 48cf 4889e0 f4");
    guest.run();
    assertThat(guest.register(Cpu.RAX)).isEqualTo(0x2_F000);
  }

  @Test
  void iretqToKernelWithNullStackSegment() {
    // push 0
    // push 0x2f000
    // pushfq
    // push 0x08
    // push next
    // iretq
    // next: push rax
    // mov ebx, ss
    // hlt
    guest.code(Guest.CODE, "6a00 6800f00200 9c 6a08 6811100000 48cf 50 8cd3 f4");
    guest.run();
    assertThat(guest.vector()).isEqualTo(-1);
    assertThat(guest.register(Cpu.RSP)).isEqualTo(0x2_EFF8);
    assertThat(guest.register(Cpu.RBX)).isZero();
  }

  @Test
  void iretqToUserWithNullStackSegmentIsRefused() {
    // push 3
    // push 0x5800
    // push 2
    // push 0x2b
    // push 0x4000
    // iretq
    guest.code(Guest.CODE, "6a03 6800580000 6a02 6a2b 6800400000 48cf");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.frame(0)).isZero();
    assertThat(guest.frame(2)).isEqualTo(Guest.CODE64);
    assertThat(guest.frame(4)).as("RSP before IRETQ").isEqualTo(Guest.STACK - 40);
  }

  @Test
  void iretqWithNestedTaskIsRefused() {
    guest.cpu().setFlags(Cpu.NT | 2);
    guest.code(Guest.CODE, "48 cf");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
  }

  @Test
  void iretqToNonCanonicalAddressFaultsInTheKernel() {
    // push 0x23
    // push 0x5800
    // push 2
    // push 0x2b
    // mov rax, 0x800000000000
    // push rax
    // iretq
    guest.code(Guest.CODE, "6a23 6800580000 6a02 6a2b 48b80000000000800000 50 48cf");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.frame(0)).isZero();
    assertThat(guest.frame(2)).isEqualTo(Guest.CODE64);
  }

  @Test
  void callGateOfLongModeSwitchesToTheStackOfTheTask() {
    guest.setDescriptor(Guest.CALL_GATE, 0x0000_EC00_0008_6000L);
    guest.setDescriptor(Guest.CALL_GATE + 8, 0);
    // mov rsi, [rsp]
    // mov rdi, [rsp + 8]
    // mov rdx, [rsp + 16]
    // mov rbx, rsp
    // o64 retf
    guest.code(0x6000, "488b3424 488b7c2408 488b542410 4889e3 48cb");
    // With REX.W the offset has 64 bits; through a gate it does not matter.
    guest.memory.writeLong(0x5000, 0);
    guest.memory.writeShort(0x5008, (short) Guest.CALL_GATE);
    // call far [0x5000]
    // mov rcx, rsp
    // ud2
    guest.user().code(Guest.USER_CODE, "48ff1c2500500000 4889e1 0f0b");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(guest.register(Cpu.RSI)).isEqualTo(Guest.USER_CODE + 8);
    assertThat(guest.register(Cpu.RDI)).isEqualTo(Guest.USER_CODE64);
    assertThat(guest.register(Cpu.RDX)).isEqualTo(Guest.USER_STACK);
    assertThat(guest.register(Cpu.RBX)).isEqualTo(Guest.STACK0 - 32);
    assertThat(guest.register(Cpu.RCX)).isEqualTo(Guest.USER_STACK);
    assertThat(guest.frame(1)).isEqualTo(Guest.USER_CODE64);
  }

  @Test
  void swapgsAndSegmentBases() {
    guest.cpu().msrs.kernelGsBase = 0x7000;
    guest.cpu().segmentBase[Cpu.GS] = 0x6000;
    guest.memory.writeInt(0x6000, 6);
    guest.memory.writeInt(0x7000, 7);
    // mov eax, [gs:0]
    // swapgs
    // mov ebx, [gs:0]
    // mov rdx, cr4
    // bts rdx, 16
    // mov cr4, rdx
    // rdgsbase rcx
    // mov rdx, 0x6000
    // wrfsbase rdx
    // mov esi, [fs:0]
    // bts rdx, 63
    // wrfsbase rdx
    guest.code(
        Guest.CODE,
        "658b042500000000 0f01f8 658b1c2500000000 0f20e2 480fbaea10 0f22e2 "
            + "f3480faec9 ba00600000 f3480faed2 648b342500000000 480fbaea3f "
            + "f3480faed2");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.register(Cpu.RAX)).isEqualTo(6);
    assertThat(guest.register(Cpu.RBX)).isEqualTo(7);
    assertThat(guest.register(Cpu.RCX)).isEqualTo(0x7000);
    assertThat(guest.register(Cpu.RSI)).isEqualTo(6);
    assertThat(guest.cpu().msrs.kernelGsBase).isEqualTo(0x6000);
  }

  @Test
  void fsgsbaseNeedsItsBitInCr4() {
    // rdfsbase rax
    guest.code(Guest.CODE, "f3480faec0");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
  }

  @Test
  void nullSelectorInFsClearsItsBase() {
    guest.cpu().segmentBase[Cpu.FS] = 0x6000;
    // xor eax, eax
    // mov fs, eax
    // hlt
    guest.code(Guest.CODE, "31c0 8ee0 f4");
    guest.run();
    assertThat(guest.cpu().segmentBase[Cpu.FS]).isZero();
  }

  @Test
  void ltrOf64BitTaskReadsTheUpperBase() {
    guest.memory.writeLong(Guest.GDT + Guest.TASK + 8, 0xFFFF_8000L);
    // mov ax, 0x30
    // ltr ax
    // hlt
    guest.code(Guest.CODE, "66b83000 0f00d8 f4");
    guest.run();
    assertThat(guest.cpu().trBase).isEqualTo(0xFFFF_8000_0000_0000L | Guest.TSS);
    assertThat(guest.cpu().trAttributes & 15).isEqualTo(Descriptor.TSS_BUSY);
  }
}
