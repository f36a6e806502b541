package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.hypervisor.Intercept;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// Segments, gates, far transfers and returns in 32-bit protected mode.
class ProtectedModeTest {
  private final Guest guest = new Guest().protectedMode();

  @AfterEach
  void close() {
    guest.close();
  }

  private void expectFault(int vector, int errorCode, long rip) {
    assertThat(guest.runToVector()).isEqualTo(vector);
    assertThat(guest.frame32(0)).as("error code").isEqualTo(errorCode);
    assertThat(guest.frame32(1)).as("EIP").isEqualTo(rip);
  }

  @Test
  void segmentLoadSetsAccessedBitAndHiddenParts() {
    guest.setDescriptor(Guest.SMALL_DATA, 0x0040_9200_6000_00FFL);
    // mov ax, 0xa0
    // mov fs, ax
    // mov al, [fs:0xff]
    // mov bl, [fs:0x100]
    guest.code(Guest.CODE, "66b8a000 8ee0 64a0ff000000 648a1d00010000");
    guest.memory.writeByte(0x60FF, (byte) 0x5A);
    expectFault(GuestFault.GENERAL_PROTECTION, 0, Guest.CODE + 12);
    assertThat(guest.register(Cpu.RAX) & 0xFF).isEqualTo(0x5A);
    assertThat(guest.memory.readLong(Guest.GDT + Guest.SMALL_DATA))
        .isEqualTo(0x0040_9300_6000_00FFL);
  }

  @Test
  void notPresentDataSegment() {
    // mov ax, 0x50
    // mov es, ax
    guest.code(Guest.CODE, "66b85000 8ec0");
    expectFault(GuestFault.SEGMENT_NOT_PRESENT, Guest.NOT_PRESENT, Guest.CODE + 4);
    assertThat(guest.cpu().segmentSelector[Cpu.ES]).isEqualTo(Guest.DATA0);
  }

  @Test
  void notPresentStackSegmentIsStackFault() {
    // mov ax, 0x50
    // mov ss, ax
    guest.code(Guest.CODE, "66b85000 8ed0");
    expectFault(GuestFault.STACK_FAULT, Guest.NOT_PRESENT, Guest.CODE + 4);
  }

  @Test
  void stackSegmentMustBeWritableAndOfTheCurrentLevel() {
    // mov ax, 0x60
    // mov ss, ax
    guest.code(Guest.CODE, "66b86000 8ed0");
    expectFault(GuestFault.GENERAL_PROTECTION, Guest.READ_ONLY, Guest.CODE + 4);
    // mov ax, 0x23
    // mov ss, ax
    guest.protectedMode().code(Guest.CODE, "66b82300 8ed0");
    expectFault(GuestFault.GENERAL_PROTECTION, Guest.USER_DATA3 & ~3, Guest.CODE + 4);
    // xor eax, eax
    // mov ss, ax
    guest.protectedMode().code(Guest.CODE, "31c0 8ed0");
    expectFault(GuestFault.GENERAL_PROTECTION, 0, Guest.CODE + 2);
  }

  @Test
  void selectorBeyondTheTable() {
    // mov ax, 0x1003
    // mov ds, ax
    guest.code(Guest.CODE, "66b80310 8ed8");
    expectFault(GuestFault.GENERAL_PROTECTION, 0x1000, Guest.CODE + 4);
  }

  @Test
  void userCannotLoadKernelData() {
    // mov ax, 0x10
    // mov ds, ax
    guest.user().code(Guest.USER_CODE, "66b81000 8ed8");
    expectFault(GuestFault.GENERAL_PROTECTION, Guest.DATA0, Guest.USER_CODE + 4);
  }

  @Test
  void nullSegmentFaultsOnUseOnly() {
    // xor eax, eax
    // mov gs, ax
    // mov al, [gs:0]
    guest.code(Guest.CODE, "31c0 8ee8 65a000000000");
    expectFault(GuestFault.GENERAL_PROTECTION, 0, Guest.CODE + 4);
  }

  @Test
  void writeThroughReadOnlyAndReadThroughExecuteOnlySegments() {
    // mov ax, 0x60
    // mov fs, ax
    // mov al, [fs:0x6000]
    // mov [fs:0x6000], al
    guest.code(Guest.CODE, "66b86000 8ee0 64a000600000 64a200600000");
    expectFault(GuestFault.GENERAL_PROTECTION, 0, Guest.CODE + 12);
    // mov ax, 0xb0
    // mov fs, ax
    guest.protectedMode().code(Guest.CODE, "66b8b000 8ee0");
    expectFault(GuestFault.GENERAL_PROTECTION, Guest.EXECUTE_ONLY, Guest.CODE + 4);
  }

  @Test
  void farPointerLoad() {
    guest.memory.writeInt(0x6000, 0x1234_5678);
    guest.memory.writeShort(0x6004, (short) Guest.SMALL_DATA);
    // lgs ecx, [0x6000]
    // hlt
    guest.code(Guest.CODE, "0fb50d00600000 f4");
    guest.run();
    assertThat(guest.register(Cpu.RCX)).isEqualTo(0x1234_5678);
    assertThat(guest.cpu().segmentSelector[Cpu.GS]).isEqualTo(Guest.SMALL_DATA);
    assertThat(guest.cpu().segmentBase[Cpu.GS]).isEqualTo(0x6000);
  }

  @Test
  void pushAndPopOfSegmentsKeepTheStackInStep() {
    // push fs
    // push word 0xa0
    // o16 pop fs
    // pop es
    // mov ecx, fs
    // hlt
    guest.code(Guest.CODE, "0fa0 6668a000 660fa1 07 8ce1 f4");
    guest.run();
    assertThat(guest.register(Cpu.RSP)).isEqualTo(Guest.STACK);
    assertThat(guest.register(Cpu.RCX)).isEqualTo(0xA0);
    assertThat(guest.cpu().segmentSelector[Cpu.ES]).isEqualTo(Guest.DATA0);
  }

  @Test
  void farJumpAndCallSwitchCodeSegmentAndReturn() {
    // 0x6000, 16-bit code: retf with 32-bit operands
    guest.code(0x6000, "66 cb");
    // call 0x48:0x6000
    // jmp 0x88:next
    // next: hlt
    guest.code(Guest.CODE, "9a006000004800 ea0e1000008800 f4");
    guest.run();
    assertThat(guest.cpu().segmentSelector[Cpu.CS]).isEqualTo(Guest.CONFORMING32);
    assertThat(guest.register(Cpu.RSP)).isEqualTo(Guest.STACK);
    assertThat(guest.cpu().rip).isEqualTo(Guest.CODE + 15);
  }

  @Test
  void farJumpToDataOrForeignLevelIsGeneralProtection() {
    // jmp 0x10:0
    guest.code(Guest.CODE, "ea000000001000");
    expectFault(GuestFault.GENERAL_PROTECTION, Guest.DATA0, Guest.CODE);
    // jmp 0x1b:0
    guest.protectedMode().code(Guest.CODE, "ea000000001b00");
    expectFault(GuestFault.GENERAL_PROTECTION, Guest.USER_CODE32 & ~3, Guest.CODE);
    // jmp 0:0
    guest.protectedMode().code(Guest.CODE, "ea000000000000");
    expectFault(GuestFault.GENERAL_PROTECTION, 0, Guest.CODE);
  }

  @Test
  void callGateToInnerLevelCopiesParametersAndReturnReleasesThem() {
    // Two parameters, 32-bit gate of level 3, to 0x40:0x6000.
    guest.setDescriptor(Guest.CALL_GATE, 0x0000_EC02_0040_6000L);
    // mov eax, [esp + 8]
    // mov ebx, [esp + 12]
    // mov ecx, [esp + 16]
    // mov edx, ss
    // retf 8
    guest.code(0x6000, "8b442408 8b5c240c 8b4c2410 8cd2 ca0800");
    // push dword 0x11
    // push dword 0x22
    // call 0x7b:0
    // mov esi, esp
    // ud2
    guest.user().code(Guest.USER_CODE, "6a11 6a22 9a000000007b00 89e6 0f0b");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(guest.register(Cpu.RAX)).isEqualTo(0x22);
    assertThat(guest.register(Cpu.RBX)).isEqualTo(0x11);
    assertThat(guest.register(Cpu.RCX)).isEqualTo(Guest.USER_STACK - 8);
    assertThat(guest.register(Cpu.RDX)).isEqualTo(Guest.DATA0);
    assertThat(guest.register(Cpu.RSI)).isEqualTo(Guest.USER_STACK);
    assertThat(guest.frame32(1)).isEqualTo(Guest.USER_CODE32);
  }

  @Test
  void returnToOuterLevelDropsInnerDataSegments() {
    guest.setDescriptor(Guest.CALL_GATE, 0x0000_EC00_0040_6000L);
    // mov ax, 0x10
    // mov ds, ax
    // mov ax, 0x23
    // mov es, ax
    // retf
    guest.code(0x6000, "66b81000 8ed8 66b82300 8ec0 cb");
    // call 0x7b:0
    // ud2
    guest.user().code(Guest.USER_CODE, "9a000000007b00 0f0b");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(guest.cpu().segmentSelector[Cpu.DS]).isZero();
    assertThat(guest.cpu().segmentSelector[Cpu.ES]).isEqualTo(Guest.USER_DATA3);
  }

  @Test
  void callGateWithTooLowPrivilegeIsRefused() {
    guest.setDescriptor(Guest.CALL_GATE, 0x0000_8C00_0040_6000L);
    // call 0x7b:0
    guest.user().code(Guest.USER_CODE, "9a000000007b00");
    expectFault(GuestFault.GENERAL_PROTECTION, Guest.CALL_GATE & ~3, Guest.USER_CODE);
  }

  @Test
  void innerStackWithWrongLevelInTheTaskIsInvalidTss() {
    guest.setGate(0x80, 0xEE, Guest.CODE32, Guest.HANDLERS);
    guest.setGate(10, 0x8E, Guest.CONFORMING32, Guest.HANDLERS + 160);
    guest.memory.writeInt(Guest.TSS + 8, Guest.USER_DATA3);
    // int 0x80
    guest.user().code(Guest.USER_CODE, "cd80");
    // The handler of #TS is conforming, so that it needs no stack; it may not halt at level 3.
    guest.setGate(13, 0x8E, Guest.CONFORMING32, Guest.USER_DATA);
    // 0x5000: jmp to itself
    guest.code(Guest.USER_DATA, "eb fe");
    guest.processor().setBudget(100);
    guest.processor().run(guest::handle);
    // #GP for HLT at level 3: error code, EIP of the handler of #TS, its frame below.
    assertThat(guest.frame32(0)).isZero();
    assertThat(guest.frame32(1)).isEqualTo(Guest.HANDLERS + 160);
    assertThat(guest.frame32(4)).as("error code of #TS").isEqualTo(Guest.USER_DATA3 & ~3);
    assertThat(guest.frame32(5)).isEqualTo(Guest.USER_CODE);
  }

  @Test
  void interruptFromUserSwitchesStacksAndIretReturns() {
    guest.setGate(0x80, 0xEE, Guest.CODE32, 0x6000);
    // mov ebx, [esp + 12]
    // mov edx, [esp + 16]
    // mov edi, esp
    // iretd
    guest.code(0x6000, "8b5c240c 8b542410 89e7 cf");
    // int 0x80
    // mov esi, esp
    // ud2
    guest.user().code(Guest.USER_CODE, "cd80 89e6 0f0b");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(guest.register(Cpu.RBX)).isEqualTo(Guest.USER_STACK);
    assertThat(guest.register(Cpu.RDX)).isEqualTo(Guest.USER_DATA3);
    assertThat(guest.register(Cpu.RDI)).isEqualTo(Guest.STACK0 - 20);
    assertThat(guest.register(Cpu.RSI)).isEqualTo(Guest.USER_STACK);
    assertThat(guest.frame32(1)).isEqualTo(Guest.USER_CODE32);
  }

  @Test
  void sameLevelInterruptPushesThreeWordsAnd16BitGatesPushHalf() {
    guest.setGate(0x80, 0x86, Guest.CODE32, 0x6000);
    guest.code(0x6000, "f4");
    // int 0x80
    guest.code(Guest.CODE, "cd80");
    guest.run();
    assertThat(guest.register(Cpu.RSP)).isEqualTo(Guest.STACK - 6);
    assertThat(guest.memory.readShort(Guest.STACK - 6)).isEqualTo((short) (Guest.CODE + 2));
    assertThat(guest.memory.readShort(Guest.STACK - 4)).isEqualTo((short) Guest.CODE32);
  }

  @Test
  void iretToOuterLevelChecksTheStackSegment() {
    // push dword 0x10
    // push dword 0x6000
    // push dword 2
    // push dword 0x1b
    // push dword 0x4000
    // iretd
    guest.code(Guest.CODE, "6a10 6800600000 6a02 6a1b 6800400000 cf");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.frame32(0)).isEqualTo(Guest.DATA0);
    assertThat(guest.cpu().cpl).isZero();
    assertThat(guest.frame32(2)).isEqualTo(Guest.CODE32);
  }

  @Test
  void iretCannotReturnInward() {
    // pushfd
    // push dword 0x40
    // push dword 0
    // iretd
    guest.user().code(Guest.USER_CODE, "9c 6a40 6a00 cf");
    expectFault(GuestFault.GENERAL_PROTECTION, Guest.CODE32, Guest.USER_CODE + 5);
  }

  @Test
  void userCannotChangeIoplOrIfByIret() {
    // push dword 0x3202
    // push dword 0x1b
    // push dword 0x400a
    // iretd
    // nop
    // nop
    // pushfd
    // pop eax
    // ud2
    guest.user().code(Guest.USER_CODE, "6802320000 6a1b 680a400000 cf 90 90 9c 58 0f0b");
    guest.runToVector();
    assertThat(guest.register(Cpu.RAX) & (Cpu.IF | Cpu.IOPL)).isZero();
  }

  @Test
  void taskSwitchesEndTheProcessorWithAClearReason() {
    // jmp 0x30:0
    guest.code(Guest.CODE, "ea000000003000");
    guest.setDescriptor(Guest.TASK, 0x0000_8900_A000_0FFFL);
    var shutdown = guest.runToShutdown();
    assertThat(shutdown.reason()).isEqualTo(Intercept.Shutdown.Reason.UNSUPPORTED);
    assertThat(shutdown.detail()).contains("task");
    assertThat(shutdown.state().rip()).isEqualTo(Guest.CODE);
  }

  @Test
  void virtual8086TaskIsEnteredByIretAndLeftByInterrupt() {
    guest.setGate(GuestFault.GENERAL_PROTECTION, 0x8E, Guest.CODE32, 0x6000);
    guest.code(0x6000, "f4");
    // push dword 0x5
    // push dword 0x4
    // push dword 0x3
    // push dword 0x2
    // push dword 0x400
    // push dword 0x1000
    // push dword 0x20202
    // push dword 0x500
    // push dword 0x10
    // iretd
    guest.code(
        Guest.CODE, "6a05 6a04 6a03 6a02 6800040000 6800100000 6802020200 6800050000 " + "6a10 cf");
    // 0x500:0x10 = 0x5010: mov ax, ds; push ax; cli (IOPL 0: #GP)
    guest.code(0x5010, "8c d8 50 fa");
    guest.run();
    var c = guest.cpu();
    assertThat(c.virtual8086()).isFalse();
    assertThat(guest.register(Cpu.RAX) & 0xFFFF).isEqualTo(3);
    assertThat(guest.memory.readShort(0x4000 + 0xFFE)).isEqualTo((short) 3);
    // Error code, EIP, CS, EFLAGS, ESP, SS, ES, DS, FS, GS.
    assertThat(guest.register(Cpu.RSP)).isEqualTo(Guest.STACK0 - 40);
    assertThat(guest.frame32(0)).isZero();
    assertThat(guest.frame32(1)).isEqualTo(0x13);
    assertThat(guest.frame32(2)).isEqualTo(0x500);
    assertThat(guest.frame32(3) & (Cpu.VM | Cpu.IF)).isEqualTo(Cpu.VM | Cpu.IF);
    assertThat(guest.frame32(4)).isEqualTo(0xFFE);
    assertThat(guest.frame32(5)).isEqualTo(0x400);
    assertThat(guest.frame32(6)).isEqualTo(2);
    assertThat(guest.frame32(7)).isEqualTo(3);
    assertThat(guest.frame32(8)).isEqualTo(4);
    assertThat(guest.frame32(9)).isEqualTo(5);
    assertThat(c.segmentSelector[Cpu.DS]).as("data segments are null").isZero();
  }

  @Test
  void descriptorInspection() {
    // mov cx, 0xa0
    // lar eax, cx
    // lsl ebx, cx
    // setz dl
    // verw cx
    // setz dh
    // mov cx, 0x60
    // verw cx
    // setz ch
    // verr cx
    // setz cl
    // hlt
    guest.code(
        Guest.CODE,
        "66b9a000 0f02c1 0f03d9 0f94c2 0f00e9 0f94c6 66b96000 0f00e9 0f94c5 " + "0f00e1 0f94c1 f4");
    guest.run();
    assertThat(guest.register(Cpu.RAX)).isEqualTo(0x0040_9200L);
    assertThat(guest.register(Cpu.RBX)).isEqualTo(0xFF);
    assertThat(guest.register(Cpu.RDX) & 0xFFFF).isEqualTo(0x0101);
    assertThat(guest.register(Cpu.RCX) & 0xFF00).isZero();
  }

  @Test
  void adjustRequestedPrivilegeLevel() {
    // mov ax, 0x10
    // mov bx, 0x1b
    // arpl ax, bx
    // setz cl
    // arpl ax, bx
    // setz ch
    // hlt
    guest.code(Guest.CODE, "66b81000 66bb1b00 63d8 0f94c1 63d8 0f94c5 f4");
    guest.run();
    assertThat(guest.register(Cpu.RAX) & 0xFFFF).isEqualTo(0x13);
    assertThat(guest.register(Cpu.RCX) & 0xFFFF).isEqualTo(1);
  }

  @Test
  void bound() {
    guest.memory.writeInt(0x6000, -5);
    guest.memory.writeInt(0x6004, 5);
    // mov eax, -5
    // bound eax, [0x6000]
    // mov eax, 6
    // bound eax, [0x6000]
    guest.code(Guest.CODE, "b8fbffffff 620500600000 b806000000 620500600000");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.BOUND_RANGE);
    assertThat(guest.frame32(0)).isEqualTo(Guest.CODE + 16);
  }

  @Test
  void interruptsOfVirtual8086TasksGoThroughLevel0Only() {
    // The gate leads to level 1: #GP with its selector, whose own handler is at level 0.
    guest.setGate(0x80, 0xEE, Guest.CODE32_LEVEL1, Guest.HANDLERS);
    enterVirtual8086(Cpu.IOPL);
    guest.code(0x5010, "cd 80");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.frame32(0)).isEqualTo(Guest.CODE32_LEVEL1 & ~3);
  }

  /// Puts the processor into virtual-8086 mode, about to run at 0x500:0x10 with the stack at
  /// 0x400:0x1000.
  private void enterVirtual8086(int flags) {
    var c = guest.cpu();
    c.cpl = 3;
    c.systemFlags = Cpu.VM | flags;
    for (int s = 0; s < 6; s++) {
      Segments.loadReal(c, s, 0);
    }
    Segments.loadReal(c, Cpu.CS, 0x500);
    Segments.loadReal(c, Cpu.SS, 0x400);
    c.rip = 0x10;
    c.r[Cpu.RSP] = 0x1000;
    c.modeChanged();
  }

  @Test
  void virtualInterruptFlagOfVirtual8086Mode() {
    guest.cpu().cr4 |= Cpu.CR4_VME;
    enterVirtual8086(0);
    // sti; pushf; cli; pushf; hlt: #GP
    guest.code(0x5010, "fb 9c fa 9c f4");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.memory.readShort(0x4FFE) & (Cpu.IF | Cpu.IOPL)).isEqualTo(Cpu.IF | Cpu.IOPL);
    assertThat(guest.memory.readShort(0x4FFC) & Cpu.IF).isZero();
    assertThat(guest.frame32(3) & Cpu.IF).as("the real IF never changed").isZero();
  }

  @Test
  void interruptsOfVirtual8086ModeAreRedirectedByTheBitmap() {
    guest.cpu().cr4 |= Cpu.CR4_VME;
    // The redirection bitmap is the 32 bytes before the I/O bitmap: vector 0x21 goes to the task,
    // 0x22 to the monitor.
    guest.memory.writeByte(Guest.TSS + 0x88 - 32 + 4, (byte) 4);
    guest.memory.writeInt(4 * 0x21, 0x0600_0000);
    enterVirtual8086(Cpu.VIF);
    // int 0x21; int 0x22: #GP, for IOPL is 0
    guest.code(0x5010, "cd 21 cd 22");
    // At 0x600:0: pushf; pop ax; iret
    guest.code(0x6000, "9c 58 cf");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.frame32(1)).isEqualTo(0x12);
    assertThat(guest.register(Cpu.RAX) & Cpu.IF).as("VIF off in the handler").isZero();
    assertThat(guest.frame32(3) & Cpu.VIF).as("and on again after").isEqualTo(Cpu.VIF);
  }

  @Test
  void stiWithAPendingVirtualInterruptIsGeneralProtection() {
    guest.cpu().cr4 |= Cpu.CR4_VME;
    enterVirtual8086(Cpu.VIP);
    guest.code(0x5010, "fb");
    expectFault(GuestFault.GENERAL_PROTECTION, 0, 0x10);
  }

  @Test
  void protectedModeVirtualInterrupts() {
    guest.cpu().cr4 |= Cpu.CR4_PVI;
    // sti
    // ud2
    guest.user().code(Guest.USER_CODE, "fb 0f0b");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(guest.frame32(2) & (Cpu.VIF | Cpu.IF)).isEqualTo(Cpu.VIF);
  }

  @Test
  void taskAndLocalTableRegisters() {
    guest.setDescriptor(Guest.TASK, 0x0000_8900_A000_0FFFL);
    guest.memory.writeLong(Guest.DATA + 8, 0x00CF_9300_0000_FFFFL);
    // mov ax, 0x68
    // lldt ax
    // mov ax, 0x30
    // ltr ax
    // str ebx
    // sldt ecx
    // mov ax, 0x0c
    // mov fs, ax
    // hlt
    guest.code(Guest.CODE, "66b86800 0f00d0 66b83000 0f00d8 0f00cb 0f00c1 66b80c00 8ee0 f4");
    guest.run();
    assertThat(guest.register(Cpu.RBX)).isEqualTo(Guest.TASK);
    assertThat(guest.register(Cpu.RCX)).isEqualTo(Guest.LOCAL_TABLE);
    assertThat(guest.cpu().segmentLimit[Cpu.FS]).isEqualTo(-1);
    assertThat(guest.memory.readLong(Guest.GDT + Guest.TASK))
        .as("busy")
        .isEqualTo(0x0000_8B00_A000_0FFFL);
    // mov ax, 0x30
    // ltr ax
    guest.protectedMode().code(Guest.CODE, "66b83000 0f00d8");
    expectFault(GuestFault.GENERAL_PROTECTION, Guest.TASK, Guest.CODE + 4);
  }

  @Test
  void stackLimitViolationIsStackFault() {
    // mov ax, 0xa0
    // mov ss, ax
    // mov esp, 0x100
    // push eax
    // push dword [esp + 0x100]
    guest.code(Guest.CODE, "66b8a000 8ed0 bc00010000 50 ffb42400010000");
    // The handler would push to the small stack; it has the room.
    guest.run();
    assertThat(guest.vector()).isEqualTo(GuestFault.STACK_FAULT);
    assertThat(guest.memory.readInt(0x6000 + 0xFC - 16)).isZero();
    assertThat(guest.memory.readInt(0x6000 + 0xFC - 12)).isEqualTo((int) Guest.CODE + 12);
  }

  @Test
  void sysenterAndSysexit() {
    guest.cpu().msrs.sysenterCs = Guest.CODE32;
    guest.setDescriptor(Guest.CODE16, 0);
    guest.cpu().msrs.sysenterEsp = 0x3_1000;
    guest.cpu().msrs.sysenterEip = 0x6000;
    // mov esi, cs
    // mov edi, ss
    // mov ebp, esp
    // mov edx, 0x4100
    // mov ecx, 0x5f00
    // sysexit
    guest.code(0x6000, "8cce 8cd7 89e5 ba00410000 b9005f0000 0f35");
    guest.code(0x4100, "0f 0b");
    // sysenter
    guest.user().code(Guest.USER_CODE, "0f34");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(guest.register(Cpu.RSI)).isEqualTo(Guest.CODE32);
    assertThat(guest.register(Cpu.RDI)).isEqualTo(Guest.CODE32 + 8);
    assertThat(guest.register(Cpu.RBP)).isEqualTo(0x3_1000);
    assertThat(guest.frame32(0)).isEqualTo(0x4100);
    assertThat(guest.frame32(1)).isEqualTo((Guest.CODE32 + 16) | 3);
    assertThat(guest.frame32(3)).isEqualTo(0x5F00);
    assertThat(guest.frame32(4)).isEqualTo((Guest.CODE32 + 24) | 3);
  }
}
