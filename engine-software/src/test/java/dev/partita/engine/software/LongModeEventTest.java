package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.hypervisor.Intercept;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// Exceptions and software interrupts in 64-bit mode: frames, error codes, stacks, and what happens
/// when delivery itself fails.
class LongModeEventTest {
  private final Guest guest = new Guest().longMode();

  @AfterEach
  void close() {
    guest.close();
  }

  @Test
  void divideErrorPushesFrameAtFaultingInstructionOnAlignedStack() {
    // xor eax, eax
    // sub rsp, 8
    // div eax
    guest.code(Guest.CODE, "31c0 4883ec08 f7f0");
    assertThat(guest.runToVector()).isEqualTo(0);
    // The old stack pointer was 8 below a multiple of 16: the frame is aligned down.
    assertThat(guest.register(Cpu.RSP)).isEqualTo(Guest.STACK - 16 - 40);
    assertThat(guest.frame(0)).isEqualTo(Guest.CODE + 6);
    assertThat(guest.frame(1)).isEqualTo(Guest.CODE64);
    assertThat(guest.frame(2) & Cpu.RF).as("faults push RF").isEqualTo(Cpu.RF);
    assertThat(guest.frame(3)).isEqualTo(Guest.STACK - 8);
    assertThat(guest.frame(4)).isEqualTo(Guest.DATA0);
  }

  @Test
  void invalidOpcode() {
    // ud2
    guest.code(Guest.CODE, "0f0b");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(guest.frame(0)).isEqualTo(Guest.CODE);
  }

  @Test
  void invalidOpcodeInTheMiddleOfABlockComesAfterWhatIsBeforeIt() {
    // mov eax, 7
    // mov ebx, 8
    // ud2
    guest.code(Guest.CODE, "b807000000 bb08000000 0f0b");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(guest.frame(0)).isEqualTo(Guest.CODE + 10);
    assertThat(guest.register(Cpu.RBX)).isEqualTo(8);
  }

  @Test
  void breakpointReturnsBehindItself() {
    // int3
    guest.code(Guest.CODE, "cc");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.BREAKPOINT);
    assertThat(guest.frame(0)).isEqualTo(Guest.CODE + 1);
    assertThat(guest.frame(2) & Cpu.RF).as("traps do not push RF").isZero();
  }

  @Test
  void interruptGateClearsIfAndTrapGateDoesNot() {
    guest.setLongGate(0x81, 0x8F, 0, Guest.CODE64, Guest.USER_DATA);
    // 0x5000: pushfq; pop rax; cli; hlt
    guest.code(Guest.USER_DATA, "9c 58 fa f4");
    // sti
    // int 0x81
    guest.code(Guest.CODE, "fb cd81");
    guest.setPage(Guest.USER_DATA, 3);
    guest.run();
    assertThat(guest.register(Cpu.RAX) & Cpu.IF).isEqualTo(Cpu.IF);

    // sti
    // int 0x82
    guest.longMode().code(Guest.CODE, "fb cd82");
    assertThat(guest.runToVector()).isEqualTo(0x82);
    assertThat(guest.cpu().systemFlags & Cpu.IF).isZero();
    assertThat(guest.frame(2) & Cpu.IF).isEqualTo(Cpu.IF);
    assertThat(guest.frame(0)).isEqualTo(Guest.CODE + 3);
  }

  @Test
  void int1NeedsNoRightsFromItsGate() {
    guest.user().code(Guest.USER_CODE, "f1");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.DEBUG);
    assertThat(guest.frame(0)).isEqualTo(Guest.USER_CODE + 1);
  }

  @Test
  void softwareInterruptThroughKernelGateFromUserIsRefusedWithTheGateAsErrorCode() {
    // int 0x80
    guest.user().code(Guest.USER_CODE, "cd80");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.frame(0)).as("no EXT").isEqualTo(8 * 0x80 + 2);
    assertThat(guest.frame(1)).as("the INT itself").isEqualTo(Guest.USER_CODE);
  }

  @Test
  void softwareInterruptFromUserSwitchesToTheStackOfTheTask() {
    guest.setLongGate(0x80, 0xEE, 0, Guest.CODE64, Guest.HANDLERS + 16 * 0x80);
    // int 0x80
    guest.user().code(Guest.USER_CODE, "cd80");
    assertThat(guest.runToVector()).isEqualTo(0x80);
    assertThat(guest.register(Cpu.RSP)).isEqualTo(Guest.STACK0 - 40);
    assertThat(guest.frame(0)).isEqualTo(Guest.USER_CODE + 2);
    assertThat(guest.frame(1)).isEqualTo(Guest.USER_CODE64);
    assertThat(guest.frame(3)).isEqualTo(Guest.USER_STACK);
    assertThat(guest.frame(4)).isEqualTo(Guest.USER_DATA3);
    assertThat(guest.cpu().cpl).isZero();
    assertThat(guest.cpu().segmentSelector[Cpu.SS]).as("SS is null").isZero();
    assertThat(guest.cpu().segmentSelector[Cpu.CS]).isEqualTo(Guest.CODE64);
  }

  @Test
  void interruptStackTableIsUsedAtTheSameLevelToo() {
    guest.setLongGate(6, 0x8E, 3, Guest.CODE64, Guest.HANDLERS + 16 * 6);
    // ud2
    guest.code(Guest.CODE, "0f0b");
    assertThat(guest.runToVector()).isEqualTo(6);
    assertThat(guest.register(Cpu.RSP)).isEqualTo(Guest.INTERRUPT_STACK1 + 0x2000 - 40);
    assertThat(guest.frame(3)).isEqualTo(Guest.STACK);
    assertThat(guest.frame(4)).isEqualTo(Guest.DATA0);
    assertThat(guest.cpu().segmentSelector[Cpu.SS]).as("SS stays").isEqualTo(Guest.DATA0);
  }

  @Test
  void nonCanonicalDataIsGeneralProtectionAndStackFaultOnTheStack() {
    // mov rax, 0x8000000000000000
    // mov rbx, [rax]
    guest.code(Guest.CODE, "48b80000000000000080 488b18");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.frame(0)).isZero();

    guest.setLongGate(12, 0x8E, 1, Guest.CODE64, Guest.HANDLERS + 16 * 12);
    guest.longMode();
    guest.setLongGate(12, 0x8E, 1, Guest.CODE64, Guest.HANDLERS + 16 * 12);
    // mov rsp, 0x8000000000000000
    // push rax
    guest.code(Guest.CODE, "48bc0000000000000080 50");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.STACK_FAULT);
    assertThat(guest.frame(0)).isZero();
  }

  @Test
  void absentGateIsNotPresentWithItsIndexAndExternalBit() {
    guest.setLongGate(6, 0x0E, 0, Guest.CODE64, Guest.HANDLERS);
    // ud2
    guest.code(Guest.CODE, "0f0b");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.SEGMENT_NOT_PRESENT);
    assertThat(guest.frame(0)).isEqualTo(8 * 6 + 2 + 1);
    assertThat(guest.frame(1)).isEqualTo(Guest.CODE);
  }

  @Test
  void gateOfWrongTypeIsGeneralProtection() {
    guest.setLongGate(6, 0x85, 0, Guest.CODE64, Guest.HANDLERS);
    // ud2
    guest.code(Guest.CODE, "0f0b");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.frame(0)).isEqualTo(8 * 6 + 3);
  }

  @Test
  void vectorBeyondTheTableIsGeneralProtection() {
    guest.cpu().idtrLimit = 16 * 0x20 - 1;
    // int 0x20
    guest.code(Guest.CODE, "cd20");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.frame(0)).isEqualTo(8 * 0x20 + 2);
  }

  @Test
  void handlerMustBe64BitCode() {
    guest.setLongGate(6, 0x8E, 0, Guest.CODE32, Guest.HANDLERS);
    // ud2
    guest.code(Guest.CODE, "0f0b");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.frame(0)).isEqualTo(Guest.CODE32 | 1);
  }

  @Test
  void contributoryExceptionDuringContributoryOneIsDoubleFault() {
    // The divide error's gate is absent: not-present while delivering a divide error.
    guest.setLongGate(0, 0x0E, 0, Guest.CODE64, Guest.HANDLERS);
    // xor eax, eax
    // div eax
    guest.code(Guest.CODE, "31c0 f7f0");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.DOUBLE_FAULT);
    assertThat(guest.frame(0)).as("error code").isZero();
    assertThat(guest.frame(1)).isEqualTo(Guest.CODE + 2);
  }

  @Test
  void pageFaultDuringContributoryExceptionIsServedByItself() {
    // The stack of the general-protection handler is not mapped.
    guest.setLongGate(13, 0x8E, 1, Guest.CODE64, Guest.HANDLERS);
    guest.memory.writeLong(Guest.TSS + 36, 0x40_0000);
    // mov rax, 0x8000000000000000
    // mov rbx, [rax]
    guest.code(Guest.CODE, "48b80000000000000080 488b18");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.PAGE_FAULT);
    assertThat(guest.frame(0)).as("a supervisor's write").isEqualTo(2);
    assertThat(guest.cpu().cr2).isEqualTo(0x40_0000 - 8);
  }

  @Test
  void pageFaultDuringPageFaultIsDoubleFaultAndCr2IsTheSecond() {
    guest.setLongGate(14, 0x8E, 1, Guest.CODE64, Guest.HANDLERS);
    guest.memory.writeLong(Guest.TSS + 36, 0x40_0000);
    // mov rax, [0x200000]
    guest.code(Guest.CODE, "488b042500002000");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.DOUBLE_FAULT);
    assertThat(guest.cpu().cr2).isEqualTo(0x40_0000 - 8);
  }

  @Test
  void faultDuringDoubleFaultEndsTheProcessor() {
    guest.setLongGate(14, 0x0E, 0, Guest.CODE64, Guest.HANDLERS);
    guest.setLongGate(8, 0x0E, 0, Guest.CODE64, Guest.HANDLERS);
    // mov ecx, 5
    // mov rax, [0x200000]
    guest.code(Guest.CODE, "b905000000 488b042500002000");
    var shutdown = guest.runToShutdown();
    assertThat(shutdown.reason()).isEqualTo(Intercept.Shutdown.Reason.TRIPLE_FAULT);
    assertThat(shutdown.state().rip()).isEqualTo(Guest.CODE + 5);
    assertThat(shutdown.state().general()[Cpu.RCX]).isEqualTo(5);
    assertThat(shutdown.code()).startsWith(0x48, 0x8B, 0x04, 0x25);
  }

  @Test
  void exceptionInCompatibilityModePushesA64BitFrame() {
    guest.user();
    Segments.setFlat(guest.cpu(), Cpu.CS, Guest.USER_CODE32, 0xC0FB);
    guest.cpu().modeChanged();
    guest.code(Guest.USER_CODE, "0f 0b");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(guest.register(Cpu.RSP)).isEqualTo(Guest.STACK0 - 40);
    assertThat(guest.frame(1)).isEqualTo(Guest.USER_CODE32);
    assertThat(guest.cpu().is64()).isTrue();
  }

  @Test
  void conformingHandlerRunsAtTheLevelOfTheProgram() {
    guest.setLongGate(0x80, 0xEE, 0, Guest.CONFORMING64, Guest.USER_DATA);
    guest.code(Guest.USER_DATA, "0f 0b");
    // int 0x80
    guest.user().code(Guest.USER_CODE, "cd80");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(guest.frame(0)).isEqualTo(Guest.USER_DATA);
    assertThat(guest.frame(1)).isEqualTo(Guest.CONFORMING64 | 3);
  }
}
