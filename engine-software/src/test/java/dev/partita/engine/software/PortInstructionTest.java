package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// IN, OUT, INS, OUTS, their permissions, and MMIO intercepts.
class PortInstructionTest {
  private final Guest guest = new Guest().longMode();

  @AfterEach
  void close() {
    guest.close();
  }

  @Test
  void inAndOutOfAllSizes() {
    guest.ports.put(0x60, 0x1234_5678);
    // mov rax, -1
    // in al, 0x60
    // out 0x80, al
    // in ax, 0x60
    // out 0x80, ax
    // mov edx, 0x3f8
    // in eax, 0x60
    // out dx, eax
    // hlt
    guest.code(Guest.CODE, "48c7c0ffffffff e460 e680 66e560 66e780 baf8030000 e560 ef f4");
    guest.run();
    assertThat(guest.portWrites).containsExactly("80/1=78", "80/2=5678", "3f8/4=12345678");
    assertThat(guest.register(Cpu.RAX)).isEqualTo(0x1234_5678);
  }

  @Test
  void inKeepsTheUpperPartOfTheRegister() {
    guest.ports.put(0x60, 0x78);
    // mov rax, 0x1122334455667788
    // in al, 0x60
    // hlt
    guest.code(Guest.CODE, "48b88877665544332211 e460 f4");
    guest.run();
    assertThat(guest.register(Cpu.RAX)).isEqualTo(0x1122_3344_5566_7778L);
  }

  @Test
  void unansweredPortsReadAllOnes() {
    // in eax, 0x99
    // hlt
    guest.code(Guest.CODE, "e599 f4");
    guest.run();
    assertThat(guest.register(Cpu.RAX)).isEqualTo(0xFFFF_FFFFL);
  }

  @Test
  void handlerOfAPortWriteMayChangeRegisters() {
    guest.portHook =
        (p, port, value) -> {
          assertThat(p.general(Cpu.RBX)).isEqualTo(5);
          p.setGeneral(Cpu.RAX, 0x7777_7777_7777L);
          p.setGeneral(Cpu.RDX, 9);
        };
    // mov ebx, 5
    // mov edx, 0x100
    // out dx, eax
    // mov rcx, rax
    // hlt
    guest.code(Guest.CODE, "bb05000000 ba00010000 ef 4889c1 f4");
    guest.run();
    assertThat(guest.register(Cpu.RCX)).isEqualTo(0x7777_7777_7777L);
    assertThat(guest.register(Cpu.RDX)).isEqualTo(9);
    assertThat(guest.portWrites).containsExactly("100/4=0");
  }

  @Test
  void stringOutputAndInput() {
    guest.memory.write(0x6000, new byte[] {1, 2, 3, 4});
    guest.ports.put(0x70, 0xABCD);
    // mov edx, 0x70
    // mov esi, 0x6000
    // mov ecx, 2
    // rep outsw
    // mov edi, 0x6100
    // mov ecx, 3
    // rep insw
    // std
    // outsb
    // insb
    // cld
    // hlt
    guest.code(
        Guest.CODE,
        "ba70000000 be00600000 b902000000 f3666f bf00610000 b903000000 " + "f3666d fd 6e 6c fc f4");
    guest.run();
    assertThat(guest.portWrites).containsExactly("70/2=201", "70/2=403", "70/1=0");
    assertThat(guest.memory.readLong(0x6100)).isEqualTo(0x00CD_ABCD_ABCD_ABCDL);
    assertThat(guest.register(Cpu.RSI)).isEqualTo(0x6003);
    assertThat(guest.register(Cpu.RDI)).isEqualTo(0x6105);
    assertThat(guest.register(Cpu.RCX)).isZero();
  }

  @Test
  void stringOutputFaultsWithTheElementsBeforeDone() {
    guest.setPage(0xC000, 0);
    // mov edx, 0x70
    // mov esi, 0xbffe
    // mov ecx, 4
    // rep outsb
    guest.code(Guest.CODE, "ba70000000 befebf0000 b904000000 f36e");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.PAGE_FAULT);
    assertThat(guest.portWrites).hasSize(2);
    assertThat(guest.register(Cpu.RCX)).isEqualTo(2);
    assertThat(guest.register(Cpu.RSI)).isEqualTo(0xC000);
    assertThat(guest.frame(1)).isEqualTo(Guest.CODE + 15);
  }

  @Test
  void inputFaultsBeforeTheDeviceIsRead() {
    guest.setPage(0xC000, 1);
    guest.ports.put(0x70, 1);
    int[] reads = {0};
    // mov edx, 0x70
    // mov edi, 0xc000
    // insb
    guest.code(Guest.CODE, "ba70000000 bf00c00000 6c");
    guest.processor().setBudget(1000);
    guest
        .processor()
        .run(
            (p, intercept) -> {
              if (intercept instanceof dev.partita.hypervisor.Intercept.PortRead) {
                reads[0]++;
              }
              guest.handle(p, intercept);
            });
    assertThat(guest.vector()).isEqualTo(GuestFault.PAGE_FAULT);
    assertThat(reads[0]).isZero();
  }

  @Test
  void longStringOutputLetsInterruptsIn() {
    guest.cpu().setFlags(Cpu.IF | 2);
    guest.portHook =
        (p, port, value) -> {
          if (guest.portWrites.size() == 100) {
            guest.apic().raise(0x40);
          }
        };
    // mov edx, 0x70
    // xor esi, esi
    // mov ecx, 100000
    // rep outsb
    guest.code(Guest.CODE, "ba70000000 31f6 b9a0860100 f36e");
    assertThat(guest.runToVector()).isEqualTo(0x40);
    assertThat(guest.frame(0)).as("the instruction goes on after").isEqualTo(Guest.CODE + 12);
    assertThat(guest.register(Cpu.RCX)).isBetween(1L, 99_999L);
    assertThat(guest.portWrites.size() + guest.register(Cpu.RCX)).isEqualTo(100_000);
  }

  @Test
  void userNeedsIoplOrTheBitmap() {
    // The bitmap at TSS + 0x68: ports 0x60 to 0x67 allowed but 0x64.
    guest.memory.write(Guest.TSS + 0x68, new byte[] {-1, -1, -1, -1, -1, -1, -1, -1});
    guest.memory.write(Guest.TSS + 0x70, new byte[] {-1, -1, -1, -1, 0x10, -1, -1, -1});
    // in al, 0x60
    // in ax, 0x62
    // in al, 0x64
    guest.user().code(Guest.USER_CODE, "e460 66e562 e464");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.frame(1)).isEqualTo(Guest.USER_CODE + 5);

    guest.longMode();
    guest.memory.writeShort(Guest.TSS + 102, (short) 0x68);
    // in ax, 0x63
    guest.user().code(Guest.USER_CODE, "66e563");
    assertThat(guest.runToVector()).as("both ports").isEqualTo(GuestFault.GENERAL_PROTECTION);

    // in al, 0x64
    // ud2
    guest.longMode().user().code(Guest.USER_CODE, "e464 0f0b");
    guest.cpu().setFlags(Cpu.IOPL | 2);
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
  }

  @Test
  void bitmapBeyondTheLimitOfTheTaskAllowsNothing() {
    guest.cpu().trLimit = 0x67;
    // in al, 0x60
    guest.user().code(Guest.USER_CODE, "e460");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
  }

  @Test
  void memoryThatIsNotRamIsIntercepted() {
    // Map 0x200000 to physical 0xD0000000.
    guest.memory.writeLong(Guest.PD + 8, 0xD000_0083L);
    // mov eax, [0x200010]
    // mov bl, [0x200011]
    // mov rcx, [0x200018]
    // mov dword [0x200020], 0x55667788
    // mov word [0x200024], ax
    // hlt
    guest.code(
        Guest.CODE,
        "8b042510002000 8a1c2511002000 488b0c2518002000 "
            + "c704252000200088776655 6689042524002000 f4");
    guest.run();
    assertThat(guest.register(Cpu.RAX)).isEqualTo(0x5566_7788);
    assertThat(guest.register(Cpu.RBX)).isEqualTo(0x88);
    assertThat(guest.register(Cpu.RCX)).isEqualTo(0x1122_3344_5566_7788L);
    assertThat(guest.accesses)
        .containsExactly(
            "read d0000010/4",
            "read d0000011/1",
            "read d0000018/8",
            "write d0000020/4=55667788",
            "write d0000024/2=7788");
  }

  @Test
  void apicPageIsTheApics() {
    guest.memory.writeLong(Guest.PD + 8, 0xFEE0_0083L);
    guest.apic().page[0x30 / 4] = 0x5_0014;
    // mov eax, [0x200030]
    // mov dword [0x200080], 0x20
    // hlt
    guest.code(Guest.CODE, "8b042530002000 c704258000200020000000 f4");
    guest.run();
    assertThat(guest.register(Cpu.RAX)).isEqualTo(0x5_0014);
    assertThat(guest.apic().page[0x80 / 4]).isEqualTo(0x20);
    assertThat(guest.accesses).isEmpty();
  }
}
