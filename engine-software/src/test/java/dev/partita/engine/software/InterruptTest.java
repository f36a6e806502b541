package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.hypervisor.LocalApic;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// Interrupts, their shadows, NMI, single steps and instruction breakpoints.
class InterruptTest {
  private final Guest guest = new Guest().longMode();

  @AfterEach
  void close() {
    guest.close();
  }

  /// A handler that counts in a register and returns.
  private void countingHandler(int vector, long address, String hex) {
    guest.setLongGate(vector, 0x8E, 0, Guest.CODE64, address);
    guest.code(address, hex);
  }

  @Test
  void pendingInterruptComesAfterTheInstructionThatFollowsSti() {
    guest.apic().raise(0x40);
    // nop
    // sti
    // inc eax
    // inc eax
    guest.code(Guest.CODE, "90 fb ffc0 ffc0");
    assertThat(guest.runToVector()).isEqualTo(0x40);
    assertThat(guest.register(Cpu.RAX)).isEqualTo(1);
    assertThat(guest.frame(0)).isEqualTo(Guest.CODE + 4);
    assertThat(guest.frame(2) & Cpu.IF).isEqualTo(Cpu.IF);
    assertThat(guest.frame(2) & Cpu.RF).isZero();
  }

  @Test
  void stiThenCliLeavesNoWindow() {
    guest.apic().raise(0x40);
    // sti
    // cli
    // nop
    // nop
    // hlt
    guest.code(Guest.CODE, "fb fa 90 90 f4");
    guest.run();
    assertThat(guest.vector()).isEqualTo(-1);
    assertThat(guest.apic().pending).hasSize(1);
  }

  @Test
  void windowOfOneInstructionIsEnoughInALoop() {
    // mov ebx, ecx; inc edx; iretq
    countingHandler(0x40, 0x6000, "89cb ffc2 48cf");
    guest.portHook = (p, port, value) -> guest.apic().raise(0x40);
    guest.cpu().r[Cpu.RDX] = 0;
    // mov ecx, 5000
    // again: dec ecx
    // cmp ecx, 2500
    // jne +2
    // out 0x10, al
    // sti
    // nop
    // cli
    // test ecx, ecx
    // jnz again
    // hlt
    guest.code(Guest.CODE, "b988130000 ffc9 81f9c4090000 7502 e610 fb 90 fa 85c9 75ed f4");
    guest.run();
    assertThat(guest.register(Cpu.RDX)).as("interrupts").isEqualTo(1);
    assertThat(guest.register(Cpu.RBX)).as("when").isEqualTo(2500);
    assertThat(guest.register(Cpu.RCX)).isZero();
  }

  @Test
  void accessAfterStiThatIsNotInTheTlbComesBeforeTheInterrupt() {
    guest.apic().raise(0x40);
    guest.cpu().r[Cpu.RBX] = 0x9000;
    // nop
    // sti
    // inc dword [rbx]
    // inc eax
    guest.code(Guest.CODE, "90 fb ff03 ffc0");
    assertThat(guest.runToVector()).isEqualTo(0x40);
    assertThat(guest.register(Cpu.RAX)).isZero();
    assertThat(guest.frame(0)).isEqualTo(Guest.CODE + 4);
  }

  @Test
  void movToSsHoldsInterruptsForOneInstruction() {
    countingHandler(0x40, 0x6000, "f4");
    guest.cpu().setFlags(Cpu.IF | 2);
    guest.portHook = (p, port, value) -> guest.apic().raise(0x40);
    // mov ebx, ss
    // mov ss, ebx
    // out 0x10, al
    // inc eax
    // inc eax
    guest.code(Guest.CODE, "8cd3 8ed3 e610 ffc0 ffc0");
    // The port write is in the shadow; its interrupt comes right after it.
    guest.run();
    assertThat(guest.register(Cpu.RAX)).isZero();
    assertThat(guest.frame(0)).isEqualTo(Guest.CODE + 6);
  }

  @Test
  void stiHltWaitsForTheInterruptAndContinuesBehindHlt() {
    // inc ecx; iretq
    countingHandler(0x40, 0x6000, "ff c1 48 cf");
    guest.apic().raise(0x40);
    // sti
    // hlt
    // mov edx, ecx
    // cli
    // hlt
    guest.code(Guest.CODE, "fb f4 89ca fa f4");
    guest.run();
    assertThat(guest.register(Cpu.RDX)).isEqualTo(1);
    assertThat(guest.cpu().rip).isEqualTo(Guest.CODE + 6);
  }

  @Test
  void interruptRaisedByAnotherThreadWakesAHaltedProcessor() throws InterruptedException {
    countingHandler(0x40, 0x6000, "ff c1 48 cf");
    // sti
    // hlt
    // cli
    // hlt
    guest.code(Guest.CODE, "fb f4 fa f4");
    var thread = new Thread(guest::run);
    thread.start();
    guest.apic().raise(0x40);
    thread.join();
    assertThat(guest.register(Cpu.RCX)).isEqualTo(1);
  }

  @Test
  void interruptsAreTakenOneAfterAnother() {
    countingHandler(0x40, 0x6000, "8d 0c 4d 01 00 00 00 48 cf");
    countingHandler(0x41, 0x6100, "01 c9 48 cf");
    guest.apic().raise(0x40);
    guest.apic().raise(0x41);
    // sti
    // nop
    // nop
    // nop
    // cli
    // hlt
    guest.code(Guest.CODE, "fb 90 90 90 fa f4");
    // ecx = 2 ecx + 1, then ecx = 2 ecx
    guest.run();
    assertThat(guest.register(Cpu.RCX)).isEqualTo(2);
  }

  @Test
  void externalControllerIsAskedForItsVector() {
    guest.externalVector = 0x55;
    guest.apic().raise(LocalApic.EXTERNAL);
    // sti
    // nop
    // nop
    guest.code(Guest.CODE, "fb 90 90");
    assertThat(guest.runToVector()).isEqualTo(0x55);
  }

  @Test
  void lineThatFellMeanwhileGivesNoInterrupt() {
    guest.externalVector = -1;
    guest.apic().raise(LocalApic.EXTERNAL);
    // sti
    // nop
    // nop
    // cli
    // hlt
    guest.code(Guest.CODE, "fb 90 90 fa f4");
    guest.run();
    assertThat(guest.vector()).isEqualTo(-1);
  }

  @Test
  void cr8HoldsThePriorityOfTheApicAndTakes4Bits() {
    // mov eax, 9
    // mov cr8, rax
    // mov rbx, cr8
    // mov eax, 16
    // mov cr8, rax
    guest.code(Guest.CODE, "b809000000 440f22c0 440f20c3 b810000000 440f22c0");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.register(Cpu.RBX)).isEqualTo(9);
    assertThat(guest.apic().taskPriority).isEqualTo(9);
  }

  @Test
  void nmiIsMaskedUntilIret() {
    // The NMI handler counts and asks for another NMI, twice; that one waits for IRETQ.
    // inc ecx
    // mov ebx, esp
    // cmp ecx, 2
    // ja done
    // out 0x10, al
    // nop
    // nop
    // done: iretq
    countingHandler(2, 0x6000, "ffc1 89e3 83f902 7704 e610 90 90 48cf");
    guest.portHook = (p, port, value) -> p.requestNmi();
    guest.processor().requestNmi();
    // nop
    // nop
    // hlt
    guest.code(Guest.CODE, "90 90 f4");
    guest.run();
    assertThat(guest.register(Cpu.RCX)).isEqualTo(3);
    assertThat(guest.register(Cpu.RBX)).as("never nested").isEqualTo(Guest.STACK - 40);
    assertThat(guest.cpu().nmiMasked).isFalse();
  }

  @Test
  void nmiIsTakenWithInterruptsOff() {
    guest.processor().requestNmi();
    guest.code(Guest.CODE, "f4");
    assertThat(guest.runToVector()).isEqualTo(2);
    assertThat(guest.frame(0)).isEqualTo(Guest.CODE);
    assertThat(guest.cpu().nmiMasked).isTrue();
  }

  @Test
  void singleStepTrapsAfterEachInstruction() {
    // The handler counts and returns.
    countingHandler(1, 0x6000, "ff c1 48 cf");
    // pushfq
    // or dword [rsp], 0x100
    // popfq
    // inc eax
    // inc eax
    // pushfq
    // and dword [rsp], ~0x100
    // popfq
    // inc eax
    // mov rdx, dr6
    // hlt
    guest.code(Guest.CODE, "9c 810c2400010000 9d ffc0 ffc0 9c 812424fffeffff 9d ffc0 0f21f2 f4");
    guest.run();
    // Five traps: three INC-like, the AND, and POPFQ that clears TF.
    assertThat(guest.register(Cpu.RCX)).isEqualTo(5);
    assertThat(guest.register(Cpu.RAX)).isEqualTo(3);
    assertThat(guest.register(Cpu.RDX) & 1 << 14).as("DR6.BS").isEqualTo(1 << 14);
  }

  @Test
  void singleStepDoesNotTrapInsideASoftwareInterrupt() {
    countingHandler(1, 0x6000, "ff c1 48 cf");
    // Handler of INT 0x80: two instructions, IRETQ.
    countingHandler(0x80, 0x6100, "90 90 48 cf");
    guest.cpu().setFlags(Cpu.TF | 2);
    // int 0x80
    // nop
    // out 0x10, al
    guest.code(Guest.CODE, "cd80 90 e610");
    // After IRETQ only NOP traps.
    assertThat(trapsBeforePortWrite()).isEqualTo(1);
  }

  @Test
  void movToSsHoldsTheSingleStepTrap() {
    countingHandler(1, 0x6000, "ff c1 48 cf");
    guest.cpu().setFlags(Cpu.TF | 2);
    // mov ss, ebx
    // nop
    // out 0x10, al
    guest.code(Guest.CODE, "8ed3 90 e610");
    guest.cpu().r[Cpu.RBX] = Guest.DATA0;
    assertThat(trapsBeforePortWrite()).isEqualTo(1);
  }

  /// Runs to the first port write; the handler of the debug trap counts in RCX.
  private long trapsBeforePortWrite() {
    long[] traps = {-1};
    guest.portHook =
        (p, port, value) -> {
          traps[0] = p.general(Cpu.RCX);
          p.cancel();
        };
    guest.run();
    return traps[0];
  }

  @Test
  void withBtfOnlyBranchesTrap() {
    countingHandler(1, 0x6000, "ff c1 48 cf");
    guest.cpu().msrs.debugControl = 2;
    guest.cpu().setFlags(Cpu.TF | 2);
    // nop
    // nop
    // jmp next
    // nop
    // next: out 0x10, al
    guest.code(Guest.CODE, "90 90 eb01 90 e610");
    assertThat(trapsBeforePortWrite()).isEqualTo(1);
    assertThat(guest.cpu().msrs.debugControl).as("the trap clears BTF").isZero();
  }

  @Test
  void trapAfterHltEndsTheHalt() {
    countingHandler(1, 0x6000, "ff c1 48 cf");
    guest.cpu().setFlags(Cpu.TF | 2);
    // hlt
    // out 0x10, al
    guest.code(Guest.CODE, "f4 e610");
    assertThat(trapsBeforePortWrite()).isEqualTo(1);
  }

  @Test
  void instructionBreakpointIsAFaultAndRfStepsOverIt() {
    // The handler counts, keeps DR6, sets RF in its frame, clears DR6 and returns.
    // inc ecx
    // mov rdx, dr6
    // or dword [rsp + 16], 0x10000
    // iretq
    countingHandler(1, 0x6000, "ffc1 0f21f2 814c241000000100 48cf");
    // DR1 points at INC.
    // mov eax, 0x1013
    // mov dr1, rax
    // mov eax, 0x404
    // mov dr7, rax
    // nop
    // inc ebx
    // hlt
    guest.code(Guest.CODE, "b813100000 0f23c8 b804040000 0f23f8 90 ffc3 f4");
    guest.run();
    assertThat(guest.register(Cpu.RCX)).isEqualTo(1);
    assertThat(guest.register(Cpu.RDX) & 0xF).isEqualTo(2);
    assertThat(guest.register(Cpu.RBX)).isEqualTo(1);
  }

  @Test
  void generalDetectGuardsTheDebugRegisters() {
    // mov eax, 0x2400
    // mov dr7, rax
    // mov rbx, dr0
    guest.code(Guest.CODE, "b800240000 0f23f8 0f21c3");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.DEBUG);
    assertThat(guest.frame(0)).isEqualTo(Guest.CODE + 8);
    assertThat(guest.cpu().debug[6] & 1 << 13).isEqualTo(1 << 13);
    assertThat(guest.cpu().debug[7] & 1 << 13).as("GD is cleared").isZero();
  }

  @Test
  void debugRegistersHaveFixedBitsAndAliases() {
    // mov rax, 0xffff0000
    // mov dr6, rax
    // mov rbx, dr6
    // xor eax, eax
    // mov dr7, rax
    // db 0x0f, 0x21, 0xe9
    // mov rdx, dr7
    // mov rax, cr4
    // or eax, 8
    // mov cr4, rax
    // db 0x0f, 0x21, 0xe9
    guest.code(
        Guest.CODE,
        "b80000ffff 0f23f0 0f21f3 31c0 0f23f8 0f21e9 0f21fa 0f20e0 83c808 " + "0f22e0 0f21e9");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(guest.register(Cpu.RBX)).isEqualTo(0xFFFF_0FF0L);
    assertThat(guest.register(Cpu.RCX)).as("DR5 is DR7").isEqualTo(0x400);
    assertThat(guest.register(Cpu.RDX)).isEqualTo(0x400);
  }

  @Test
  void debugRegisterValuesOver32BitsAreRefused() {
    // mov rax, 0x100000000
    // mov dr7, rax
    guest.code(Guest.CODE, "48b80000000001000000 0f23f8");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
  }

  @Test
  void endlessLoopCanBeInterruptedAndCancelled() throws InterruptedException {
    guest.cpu().setFlags(Cpu.IF | 2);
    guest.code(Guest.CODE, "eb fe");
    var thread = new Thread(() -> guest.processor().run(guest::handle));
    thread.start();
    guest.apic().raise(0x40);
    thread.join();
    assertThat(guest.vector()).isEqualTo(0x40);
  }
}
