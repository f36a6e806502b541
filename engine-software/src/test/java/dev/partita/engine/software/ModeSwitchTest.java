package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// Control registers and the ways between real, protected and long mode.
class ModeSwitchTest {
  private final Guest guest = new Guest();

  @AfterEach
  void close() {
    guest.close();
  }

  private void expectGeneralProtection(long rip) {
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.frame(0)).isZero();
    assertThat(guest.frame(1)).isEqualTo(rip);
  }

  @Test
  void processorStartsAtTheResetVector() {
    var c = guest.cpu();
    assertThat(c.rip).isEqualTo(0xFFF0);
    assertThat(c.segmentBase[Cpu.CS]).isEqualTo(0xFFFF_0000L);
    assertThat(c.cr0).isEqualTo(0x6000_0010L);
    assertThat(c.flags()).isEqualTo(2);
    assertThat(c.r[Cpu.RDX]).isEqualTo(SupportedCpuid.SIGNATURE);
    assertThat(c.idtrLimit).isEqualTo(0xFFFF);
  }

  @Test
  void fromRealModeToProtectedToLongModeAndBackDown() {
    guest.longMode(); // for its tables; the state is replaced below
    Reset.reset(guest.cpu(), false);
    guest.realMode();
    // GDTR and IDTR images
    guest.memory.writeShort(0x6000, (short) (Guest.GDT_ENTRIES * 8 - 1));
    guest.memory.writeInt(0x6002, (int) Guest.GDT);
    guest.memory.writeShort(0x6008, (short) 0xFFF);
    guest.memory.writeInt(0x600A, (int) Guest.IDT);
    guest.memory.writeLong(0x6010, 0);
    // cli
    // lgdt [0x6000]
    // mov eax, cr0
    // or al, 1
    // mov cr0, eax
    // jmp 0x40:protected
    // BITS 32
    // protected:
    // mov ax, 0x10
    // mov ds, ax
    // mov es, ax
    // mov ss, ax
    // mov esp, 0x30000
    // mov esi, cs
    // mov eax, cr4
    // or eax, 0x20
    // mov cr4, eax
    // mov eax, 0x10000
    // mov cr3, eax
    // mov ecx, 0xc0000080
    // rdmsr
    // or eax, 0x900
    // wrmsr
    // mov eax, cr0
    // or eax, 0x80000000
    // mov cr0, eax
    // jmp 0x08:wide
    // BITS 64
    // wide:
    // lidt [0x6008]
    // mov ax, 0x30
    // ltr ax
    // mov rdi, 0x123456789abcdef0
    // mov ecx, 0xc0000080
    // rdmsr
    // mov ebx, eax
    // push 0x40
    // push compatible
    // o64 retf
    // BITS 32
    // compatible:
    // mov eax, cr0
    // and eax, 0x7fffffff
    // mov cr0, eax
    // mov ecx, 0xc0000080
    // rdmsr
    // hlt
    guest.code(
        Guest.CODE,
        "fa 0f01160060 0f20c0 0c01 0f22c0 ea13104000 66b81000 8ed8 8ec0 "
            + "8ed0 bc00000300 8cce 0f20e0 83c820 0f22e0 b800000100 0f22d8 "
            + "b9800000c0 0f32 0d00090000 0f30 0f20c0 0d00000080 0f22c0 "
            + "ea551000000800 0f011c2508600000 66b83000 0f00d8 "
            + "48bff0debc9a78563412 b9800000c0 0f32 89c3 6a40 6880100000 48cb "
            + "0f20c0 25ffffff7f 0f22c0 b9800000c0 0f32 f4");
    // At 0x6008 LIDT in 64-bit mode reads ten bytes.
    guest.memory.writeLong(0x600A, Guest.IDT);
    guest.run();
    var c = guest.cpu();
    assertThat(guest.shutdown).isNull();
    assertThat(c.r[Cpu.RSI]).isEqualTo(Guest.CODE32);
    assertThat(c.r[Cpu.RBX]).as("EFER with LMA").isEqualTo(0xD00);
    assertThat(c.r[Cpu.RAX]).as("EFER without LMA").isEqualTo(0x900);
    assertThat(c.longMode()).isFalse();
    assertThat(c.segmentSelector[Cpu.CS]).isEqualTo(Guest.CODE32);
  }

  @Test
  void realModeInterruptsGoThroughTheVectorTable() {
    guest.realMode();
    guest.memory.writeInt(4 * 0x21, 0x0600_0010);
    guest.cpu().setFlags(Cpu.IF | Cpu.CF | 2);
    // 0x600:0x10 = 0x6010
    // mov bp, sp
    // mov ax, [bp]
    // mov bx, [bp + 2]
    // mov cx, [bp + 4]
    // pushf
    // pop dx
    // iret
    guest.code(0x6010, "89e5 8b4600 8b5e02 8b4e04 9c 5a cf");
    // int 0x21
    // mov si, sp
    // pushf
    // pop di
    // cli
    // hlt
    guest.code(Guest.CODE, "cd21 89e6 9c 5f fa f4");
    guest.run();
    assertThat(guest.register(Cpu.RAX)).isEqualTo(Guest.CODE + 2);
    assertThat(guest.register(Cpu.RBX)).isZero();
    assertThat(guest.register(Cpu.RCX) & (Cpu.IF | Cpu.CF)).isEqualTo(Cpu.IF | Cpu.CF);
    assertThat(guest.register(Cpu.RDX) & Cpu.IF).isZero();
    assertThat(guest.register(Cpu.RDI) & (Cpu.IF | Cpu.CF)).isEqualTo(Cpu.IF | Cpu.CF);
    assertThat(guest.register(Cpu.RSI)).isEqualTo(0x7000);
  }

  @Test
  void realModeExceptionsPushNoErrorCode() {
    guest.realMode();
    guest.cpu().segmentLimit[Cpu.DS] = 0xFFFF;
    // mov ax, [0xffff]
    guest.code(Guest.CODE, "a1ffff");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.register(Cpu.RSP)).isEqualTo(0x7000 - 6);
    assertThat(guest.memory.readShort(0x7000 - 6)).isEqualTo((short) Guest.CODE);
  }

  @Test
  void realModeFarCallAndReturn() {
    guest.realMode();
    guest.code(0x6010, "89 e5 cb");
    // call 0x600:0x10
    // mov ax, 0x1234
    // mov ds, ax
    // mov bx, ds
    // hlt
    guest.code(Guest.CODE, "9a10000006 b83412 8ed8 8cdb f4");
    guest.run();
    assertThat(guest.register(Cpu.RBP)).isEqualTo(0x7000 - 4);
    assertThat(guest.register(Cpu.RBX)).isEqualTo(0x1234);
    assertThat(guest.cpu().segmentBase[Cpu.DS]).isEqualTo(0x1_2340);
  }

  @Test
  void segmentLimitsOfProtectedModeLiveOnInRealMode() {
    guest.protectedMode();
    guest.memory.writeInt(0x12_3456, 0x600D_F00D);
    // jmp 0x48:next
    // BITS 16
    // next:
    // mov eax, cr0
    // and al, 0xfe
    // mov cr0, eax
    // jmp 0:real
    // real:
    // xor ax, ax
    // mov ds, ax
    // mov esi, 0x123456
    // mov ebx, [esi]
    // hlt
    guest.code(
        Guest.CODE,
        "ea071000004800 0f20c0 24fe 0f22c0 ea14100000 31c0 8ed8 " + "66be56341200 66678b1e f4");
    guest.run();
    assertThat(guest.register(Cpu.RBX)).isEqualTo(0x600D_F00DL);
  }

  @Test
  void protectedModeInstructionsAreInvalidInRealMode() {
    guest.realMode();
    // sldt ax
    guest.code(Guest.CODE, "0f00c0");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
    guest.realMode();
    // lar ax, bx
    guest.code(Guest.CODE, "0f02c3");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
  }

  @Test
  void cr0Checks() {
    // mov rax, cr0
    // bts rax, 32
    // mov cr0, rax
    guest.longMode().code(Guest.CODE, "0f20c0 480fbae820 0f22c0");
    expectGeneralProtection(Guest.CODE + 8);
    // NW without CD.
    // mov rax, cr0
    // bts rax, 29
    // mov cr0, rax
    guest.longMode().code(Guest.CODE, "0f20c0 480fbae81d 0f22c0");
    expectGeneralProtection(Guest.CODE + 8);
    // Paging without protection.
    // mov rax, cr0
    // btr rax, 0
    // mov cr0, rax
    guest.longMode().code(Guest.CODE, "0f20c0 480fbaf000 0f22c0");
    expectGeneralProtection(Guest.CODE + 8);
    // Paging off in 64-bit code.
    // mov rax, cr0
    // btr rax, 31
    // mov cr0, rax
    guest.longMode().code(Guest.CODE, "0f20c0 480fbaf01f 0f22c0");
    expectGeneralProtection(Guest.CODE + 8);
  }

  @Test
  void pagingWithLmeNeedsPae() {
    guest.protectedMode();
    guest.cpu().efer = Cpu.EFER_LME;
    // mov eax, cr0
    // or eax, 0x80000000
    // mov cr0, eax
    guest.code(Guest.CODE, "0f20c0 0d00000080 0f22c0");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.cpu().longMode()).isFalse();
  }

  @Test
  void cr4Checks() {
    // mov rax, cr4
    // btr rax, 5
    // mov cr4, rax
    guest.longMode().code(Guest.CODE, "0f20e0 480fbaf005 0f22e0");
    expectGeneralProtection(Guest.CODE + 8);
    // LA57 is not there.
    // mov rax, cr4
    // bts rax, 12
    // mov cr4, rax
    guest.longMode().code(Guest.CODE, "0f20e0 480fbae80c 0f22e0");
    expectGeneralProtection(Guest.CODE + 8);
    // PCIDE with a PCID in CR3.
    guest.longMode();
    guest.cpu().cr3 = Guest.PML4 | 0x18;
    // mov rax, cr4
    // bts rax, 17
    // mov cr4, rax
    guest.code(Guest.CODE, "0f20e0 480fbae811 0f22e0");
    expectGeneralProtection(Guest.CODE + 8);
    // mov rax, cr4
    // bts rax, 17
    // mov cr4, rax
    // mov rbx, 0x8000000000010005
    // mov cr3, rbx
    // mov rcx, cr3
    // mov rax, 0x10000000010005
    // mov cr3, rax
    guest
        .longMode()
        .code(
            Guest.CODE,
            "0f20e0 480fbae811 0f22e0 48bb0500010000000080 0f22db 0f20d9 "
                + "48b80500010000001000 0f22d8");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.register(Cpu.RCX)).as("the no-flush bit is not kept").isEqualTo(0x1_0005);
  }

  @Test
  void controlRegistersAreForLevel0AndTheOnesThatExist() {
    // mov rax, cr0
    guest.longMode().user().code(Guest.USER_CODE, "0f20c0");
    expectGeneralProtection(Guest.USER_CODE);
    guest.longMode().code(Guest.CODE, "0f 20 c8"); // mov rax, cr1
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
  }

  @Test
  void lmswSetsButNeverClearsPe() {
    // mov ax, 0xe
    // lmsw ax
    // smsw ebx
    // clts
    // smsw ecx
    // hlt
    guest.protectedMode().code(Guest.CODE, "66b80e00 0f01f0 0f01e3 0f06 0f01e1 f4");
    guest.run();
    assertThat(guest.register(Cpu.RBX) & 0xF).isEqualTo(0xF);
    assertThat(guest.register(Cpu.RCX) & 0xF).isEqualTo(7);
  }

  @Test
  void xcr0() {
    // mov rax, cr4
    // bts rax, 18
    // mov cr4, rax
    // mov eax, 3
    // xor edx, edx
    // xor ecx, ecx
    // xsetbv
    // xgetbv
    // mov ebx, eax
    // mov eax, 2
    // xsetbv
    guest
        .longMode()
        .code(
            Guest.CODE,
            "0f20e0 480fbae812 0f22e0 b803000000 31d2 31c9 0f01d1 0f01d0 89c3 "
                + "b802000000 0f01d1");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.register(Cpu.RBX)).isEqualTo(3);
    // xgetbv
    guest.longMode().code(Guest.CODE, "0f01d0");
    assertThat(guest.runToVector()).as("without OSXSAVE").isEqualTo(GuestFault.INVALID_OPCODE);
  }

  @Test
  void xcr0EnablesAvxOnlyWithSse() {
    guest.longMode();
    guest.cpu().cr4 |= Cpu.CR4_OSXSAVE;
    // mov eax, 7; xor edx, edx; xor ecx, ecx; xsetbv; vzeroupper; mov al, 5; xsetbv
    guest.code(Guest.CODE, "b807000000 31d2 31c9 0f01d1 c5f877 b005 0f01d1");
    expectGeneralProtection(Guest.CODE + 17);
    assertThat(guest.cpu().xcr0).isEqualTo(7);
    // mov al, 15 (MPX); xsetbv
    guest.longMode();
    guest.cpu().cr4 |= Cpu.CR4_OSXSAVE;
    guest.code(Guest.CODE, "b80f000000 31d2 31c9 0f01d1");
    expectGeneralProtection(Guest.CODE + 9);
  }

  @Test
  void vexPrefixExistsInProtectedModeOnly() {
    // vzeroupper; hlt. In real mode C5 is LDS, here with a register: invalid.
    String code = "c5f877 f4";
    guest.protectedMode();
    guest.cpu().cr4 |= Cpu.CR4_OSXSAVE;
    guest.cpu().xcr0 = 7;
    guest.cpu().xmm[2] = 1;
    guest.code(Guest.CODE, code).run();
    assertThat(guest.cpu().xmm[2]).isZero();
    Reset.reset(guest.cpu(), false);
    guest.realMode();
    guest.cpu().cr4 |= Cpu.CR4_OSXSAVE;
    guest.cpu().xcr0 = 7;
    guest.code(Guest.CODE, code);
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
  }

  @Test
  void umipHidesDescriptorTablesFromUsers() {
    guest.longMode();
    guest.cpu().cr4 |= Cpu.CR4_UMIP;
    // sgdt [0x5000]
    guest.user().code(Guest.USER_CODE, "0f01042500500000");
    expectGeneralProtection(Guest.USER_CODE);
    // sgdt [0x5000]
    // sidt [0x5010]
    // ud2
    guest.longMode().user().code(Guest.USER_CODE, "0f01042500500000 0f010c2510500000 0f0b");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(guest.memory.readShort(0x5000)).isEqualTo((short) (Guest.GDT_ENTRIES * 8 - 1));
    assertThat(guest.memory.readLong(0x5002)).isEqualTo(Guest.GDT);
    assertThat(guest.memory.readLong(0x5012)).isEqualTo(Guest.IDT);
  }

  @Test
  void privilegedInstructionsAreRefusedToUsers() {
    // hlt, cli, sti, invlpg, lgdt, ltr, wbinvd, clts, rdmsr, wrmsr, swapgs, lmsw
    for (var code :
        new String[] {
          "f4",
          "fa",
          "fb",
          "0f 01 3b",
          "0f 01 13",
          "0f 00 d8",
          "0f 09",
          "0f 06",
          "0f 32",
          "0f 30",
          "0f 01 f8",
          "0f 01 f0"
        }) {
      guest.longMode().user().code(Guest.USER_CODE, code);
      guest.cpu().r[Cpu.RBX] = Guest.USER_DATA;
      expectGeneralProtection(Guest.USER_CODE);
    }
  }

  @Test
  void instructionsOfFeaturesThatAreNotThereAreInvalid() {
    // monitor, mwait, vmcall, vmlaunch, vmxoff, vmrun, rsm, rdpkru, encls, xend, getsec, vmread
    for (var code :
        new String[] {
          "0f 01 c8",
          "0f 01 c9",
          "0f 01 c1",
          "0f 01 c2",
          "0f 01 c4",
          "0f 01 d8",
          "0f aa",
          "0f 01 ee",
          "0f 01 cf",
          "0f 01 d5",
          "0f 37",
          "0f 78 c0"
        }) {
      guest.longMode().code(Guest.CODE, code);
      assertThat(guest.runToVector()).as(code).isEqualTo(GuestFault.INVALID_OPCODE);
    }
  }
}
