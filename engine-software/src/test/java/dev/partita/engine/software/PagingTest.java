package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// Page faults of every kind, accessed and dirty bits, flushes: Intel SDM volume 3, chapter 4.
class PagingTest {
  private static final long PRESENT = 1;
  private static final long WRITABLE = 2;
  private static final long USER = 4;
  private static final long ACCESSED = 0x20;
  private static final long DIRTY = 0x40;
  private static final long NO_EXECUTE = 1L << 63;

  // Error code bits.
  private static final int P = 1;
  private static final int W = 2;
  private static final int U = 4;
  private static final int RSVD = 8;
  private static final int ID = 16;

  private final Guest guest = new Guest().longMode();

  @AfterEach
  void close() {
    guest.close();
  }

  private long entry(long address) {
    return guest.memory.readLong(Guest.PT + (address >> 12) * 8);
  }

  private void expectPageFault(int errorCode, long address, long rip) {
    assertThat(guest.runToVector()).isEqualTo(GuestFault.PAGE_FAULT);
    assertThat(guest.frame(0)).as("error code").isEqualTo(errorCode);
    assertThat(guest.cpu().cr2).as("CR2").isEqualTo(address);
    assertThat(guest.frame(1)).as("RIP").isEqualTo(rip);
  }

  private void kernelReads(long address) {
    // mov al, [rbx]
    // hlt
    guest.code(Guest.CODE, "8a03 f4");
    guest.cpu().r[Cpu.RBX] = address;
  }

  private void kernelWrites(long address) {
    // mov [rbx], al
    // hlt
    guest.code(Guest.CODE, "8803 f4");
    guest.cpu().r[Cpu.RBX] = address;
  }

  private void userReads(long address) {
    // mov al, [rbx]
    // ud2
    guest.user().code(Guest.USER_CODE, "8a03 0f0b");
    guest.cpu().r[Cpu.RBX] = address;
  }

  private void userWrites(long address) {
    // mov [rbx], al
    // ud2
    guest.user().code(Guest.USER_CODE, "8803 0f0b");
    guest.cpu().r[Cpu.RBX] = address;
  }

  @Test
  void absentPages() {
    guest.setPage(0x7000, 0);
    kernelReads(0x7123);
    expectPageFault(0, 0x7123, Guest.CODE);
    guest.longMode();
    kernelWrites(0x7123);
    expectPageFault(W, 0x7123, Guest.CODE);
    guest.longMode();
    userReads(0x7FFF);
    expectPageFault(U, 0x7FFF, Guest.USER_CODE);
    guest.longMode();
    userWrites(0x7FFF);
    expectPageFault(U | W, 0x7FFF, Guest.USER_CODE);
  }

  @Test
  void absentUpperLevels() {
    kernelReads(0x20_0000);
    expectPageFault(0, 0x20_0000, Guest.CODE);
    guest.longMode();
    kernelReads(0x4000_0000);
    expectPageFault(0, 0x4000_0000, Guest.CODE);
    guest.longMode();
    kernelReads(-4096);
    expectPageFault(0, -4096, Guest.CODE);
  }

  @Test
  void userMayNotTouchSupervisorPages() {
    userReads(0x7000);
    expectPageFault(U | P, 0x7000, Guest.USER_CODE);
    guest.longMode();
    userWrites(0x7000);
    expectPageFault(U | W | P, 0x7000, Guest.USER_CODE);
  }

  @Test
  void readOnlyPagesStopTheUserAlwaysAndTheKernelWithWp() {
    guest.setPage(Guest.USER_DATA, PRESENT | USER);
    userReads(Guest.USER_DATA);
    assertThat(guest.runToVector()).isEqualTo(GuestFault.INVALID_OPCODE);
    guest.longMode();
    userWrites(Guest.USER_DATA);
    expectPageFault(U | W | P, Guest.USER_DATA, Guest.USER_CODE);

    guest.longMode();
    kernelWrites(Guest.USER_DATA + 8);
    expectPageFault(W | P, Guest.USER_DATA + 8, Guest.CODE);

    guest.longMode();
    guest.cpu().cr0 &= ~Cpu.CR0_WP;
    kernelWrites(Guest.USER_DATA + 8);
    guest.run();
    assertThat(guest.vector()).isEqualTo(-1);
    assertThat(entry(Guest.USER_DATA) & DIRTY).isEqualTo(DIRTY);
  }

  @Test
  void rightsAreTheAndOfAllLevels() {
    guest.memory.writeLong(Guest.PD, Guest.PT | PRESENT | WRITABLE);
    guest.user().code(Guest.USER_CODE, "0f 0b");
    expectPageFault(U | P | ID, Guest.USER_CODE, Guest.USER_CODE);
  }

  @Test
  void noExecute() {
    guest.setPage(0x7000, PRESENT | WRITABLE | NO_EXECUTE);
    // jmp 0x7000
    guest.code(Guest.CODE, "e9fb5f0000");
    expectPageFault(P | ID, 0x7000, 0x7000);
  }

  @Test
  void fetchFromAnAbsentPageTellsSo() {
    guest.setPage(0x7000, 0);
    // jmp 0x7000
    guest.code(Guest.CODE, "e9fb5f0000");
    expectPageFault(ID, 0x7000, 0x7000);
  }

  @Test
  void instructionThatCrossesIntoAnAbsentPageFaultsAtTheSecond() {
    guest.setPage(0x8000, 0);
    guest.setPage(0x7000, 3);
    guest.cpu().gdtrBase = Guest.GDT;
    // mov eax, imm32 with its last two bytes in the absent page
    guest.code(0x7FFD, "b8 11 22");
    guest.cpu().rip = 0x7FFD;
    guest.memory.writeLong(0x6000, 0);
    // The GDT is on that page: move it.
    guest.memory.write(0x6000, guest.memory.read(Guest.GDT, Guest.GDT_ENTRIES * 8));
    guest.cpu().gdtrBase = 0x6000;
    expectPageFault(ID, 0x8000, 0x7FFD);
  }

  @Test
  void reservedBits() {
    guest.setPage(0x7000, PRESENT | 1L << 50);
    kernelReads(0x7000);
    expectPageFault(P | RSVD, 0x7000, Guest.CODE);
    guest.longMode();
    guest.setPage(0x7000, PRESENT | NO_EXECUTE);
    guest.cpu().efer &= ~Cpu.EFER_NXE;
    kernelReads(0x7000);
    expectPageFault(P | RSVD, 0x7000, Guest.CODE);
    guest.longMode();
    // A 2 MiB page must be aligned.
    guest.memory.writeLong(Guest.PD + 8, 0x20_2000 | 0x83);
    kernelReads(0x20_0000);
    expectPageFault(P | RSVD, 0x20_0000, Guest.CODE);
  }

  @Test
  void smepStopsTheKernelFromRunningUserPages() {
    guest.cpu().cr4 |= Cpu.CR4_SMEP;
    // jmp 0x4000
    guest.code(Guest.CODE, "e9fb2f0000");
    expectPageFault(P | ID, Guest.USER_CODE, Guest.USER_CODE);
  }

  @Test
  void smapStopsTheKernelFromTouchingUserPagesUnlessAcIsSet() {
    guest.cpu().cr4 |= Cpu.CR4_SMAP;
    guest.cpu().modeChanged();
    kernelReads(Guest.USER_DATA);
    expectPageFault(P, Guest.USER_DATA, Guest.CODE);

    guest.longMode();
    guest.cpu().cr4 |= Cpu.CR4_SMAP;
    guest.cpu().modeChanged();
    guest.cpu().r[Cpu.RBX] = Guest.USER_DATA;
    // stac
    // mov [rbx], al
    // mov cl, [rbx]
    // clac
    // mov [rbx], al
    guest.code(Guest.CODE, "0f01cb 8803 8a0b 0f01ca 8803");
    expectPageFault(P | W, Guest.USER_DATA, Guest.CODE + 10);
  }

  @Test
  void smapHoldsForSystemStructuresWhateverAcSays() {
    // The TSS is on a user page: the stack for an interrupt from user mode cannot be read.
    guest.setPage(Guest.TSS, 7);
    guest.setLongGate(14, 0x8E, 0, Guest.CONFORMING64, Guest.HANDLERS + 16 * 14);
    guest.setPage(Guest.HANDLERS, 7);
    guest.cpu().cr4 |= Cpu.CR4_SMAP;
    // ud2
    guest.user().code(Guest.USER_CODE, "0f0b");
    guest.cpu().setFlags(Cpu.AC | 2);
    // The page fault's handler runs at level 3: let it not halt, but spin.
    guest.code(Guest.HANDLERS + 16 * 14, "eb fe");
    guest.processor().setBudget(100);
    guest.processor().run(guest::handle);
    assertThat(guest.cpu().rip).isEqualTo(Guest.HANDLERS + 16 * 14);
    assertThat(guest.frame(0)).as("supervisor's read").isEqualTo(P);
    assertThat(guest.cpu().cr2).isEqualTo(Guest.TSS + 4);
  }

  @Test
  void accessedAndDirtyBits() {
    guest.setPage(0x7000, PRESENT | WRITABLE);
    kernelReads(0x7000);
    guest.run();
    assertThat(entry(0x7000) & (ACCESSED | DIRTY)).isEqualTo(ACCESSED);
    assertThat(guest.memory.readLong(Guest.PD) & ACCESSED).isEqualTo(ACCESSED);
    assertThat(guest.memory.readLong(Guest.PML4) & ACCESSED).isEqualTo(ACCESSED);
    guest.longMode();
    kernelWrites(0x7000);
    guest.run();
    assertThat(entry(0x7000) & (ACCESSED | DIRTY)).isEqualTo(ACCESSED | DIRTY);
  }

  @Test
  void writeAfterReadSetsDirtyWithoutAFlush() {
    guest.setPage(0x7000, PRESENT | WRITABLE);
    guest.cpu().r[Cpu.RBX] = 0x7000;
    // mov al, [rbx]
    // mov [rbx], al
    // hlt
    guest.code(Guest.CODE, "8a03 8803 f4");
    guest.run();
    assertThat(entry(0x7000) & DIRTY).isEqualTo(DIRTY);
  }

  @Test
  void readModifyWriteOfAReadOnlyPageIsAWriteFaultAndChangesNoFlags() {
    guest.setPage(0x7000, PRESENT);
    guest.cpu().r[Cpu.RBX] = 0x7000;
    // stc
    // add dword [rbx], 1
    guest.code(Guest.CODE, "f9 830301");
    expectPageFault(P | W, 0x7000, Guest.CODE + 1);
    assertThat(guest.frame(3) & Cpu.CF).isEqualTo(Cpu.CF);
  }

  @Test
  void staleTranslationsLiveUntilInvlpg() {
    guest.memory.writeByte(0x6000, (byte) 1);
    guest.memory.writeByte(0x7000, (byte) 2);
    guest.cpu().r[Cpu.RBX] = 0x6000;
    // mov al, [rbx]
    // mov qword [0x13030], 0x7003
    // invlpg [rbx]
    // mov ah, [rbx]
    // hlt
    guest.code(Guest.CODE, "8a03 48c704253030010003700000 0f013b 8a23 f4");
    guest.run();
    assertThat(guest.register(Cpu.RAX) & 0xFFFF).isEqualTo(0x0201);
  }

  @Test
  void cr3WriteForgetsAllButGlobalPages() {
    guest.memory.writeByte(0x6000, (byte) 1);
    guest.memory.writeByte(0x7000, (byte) 2);
    guest.memory.writeByte(0xB000, (byte) 3);
    guest.setPage(0x7000, PRESENT | WRITABLE | 0x100);
    guest.cpu().r[Cpu.RBX] = 0x6000;
    // Both pages are made to show 0xB000; then CR3, then CR4.PGE is toggled.
    // mov al, [rbx]
    // mov cl, [rbx + 0x1000]
    // mov qword [0x13030], 0xb003
    // mov qword [0x13038], 0xb003
    // mov rdx, cr3
    // mov cr3, rdx
    // mov ah, [rbx]
    // mov dl, [rbx + 0x1000]
    // mov rsi, cr4
    // btr rsi, 7
    // mov cr4, rsi
    // mov dh, [rbx + 0x1000]
    // hlt
    guest.code(
        Guest.CODE,
        "8a03 8a8b00100000 48c704253030010003b00000 "
            + "48c704253830010003b00000 0f20da 0f22da 8a23 8a9300100000 0f20e6 "
            + "480fbaf607 0f22e6 8ab300100000 f4");
    guest.run();
    assertThat(guest.register(Cpu.RAX) & 0xFFFF).isEqualTo(0x0301);
    assertThat(guest.register(Cpu.RCX) & 0xFF).isEqualTo(2);
    assertThat(guest.register(Cpu.RDX) & 0xFF).as("global page after CR3").isEqualTo(2);
    assertThat(guest.register(Cpu.RDX) >> 8 & 0xFF).as("after CR4.PGE").isEqualTo(3);
  }

  @Test
  void invpcidTypes() {
    guest.memory.writeByte(0x6000, (byte) 1);
    guest.memory.writeByte(0xB000, (byte) 3);
    guest.memory.writeLong(0x7000, 0);
    guest.memory.writeLong(0x7008, 0x6000);
    guest.cpu().r[Cpu.RBX] = 0x6000;
    // mov al, [rbx]
    // mov qword [0x13030], 0xb003
    // xor ecx, ecx
    // invpcid rcx, [0x7000]
    // mov ah, [rbx]
    // mov ecx, 4
    // invpcid rcx, [0x7000]
    guest.code(
        Guest.CODE,
        "8a03 48c704253030010003b00000 31c9 66480f38820c2500700000 8a23 "
            + "b904000000 66480f38820c2500700000");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.register(Cpu.RAX) & 0xFFFF).isEqualTo(0x0301);
  }

  @Test
  void accessAcrossTwoPagesFaultsBeforeAnythingIsWritten() {
    guest.setPage(0x8000, 0);
    guest.memory.write(0x6000, guest.memory.read(Guest.GDT, Guest.GDT_ENTRIES * 8));
    guest.cpu().gdtrBase = 0x6000;
    guest.memory.writeInt(0x7FFC, 0x1111_1111);
    guest.cpu().r[Cpu.RBX] = 0x7FFE;
    // mov dword [rbx], -1
    guest.code(Guest.CODE, "c703ffffffff");
    expectPageFault(W, 0x8000, Guest.CODE);
    assertThat(guest.memory.readInt(0x7FFC)).isEqualTo(0x1111_1111);
  }

  @Test
  void largeAndHugePages() {
    guest.memory.writeLong(Guest.PD + 8, 0x20_0000 | 0x83);
    guest.memory.writeLong(Guest.PDPT + 8, 0x83);
    guest.memory.writeByte(0x20_0005, (byte) 0x77);
    // mov al, [0x200005]
    // mov ebx, 0x40200005
    // mov ah, [rbx]
    // mov [rbx], bh
    // hlt
    guest.code(Guest.CODE, "8a042505002000 bb05002040 8a23 883b f4");
    guest.run();
    assertThat(guest.register(Cpu.RAX) & 0xFFFF).isEqualTo(0x7777);
    assertThat(guest.memory.readLong(Guest.PDPT + 8) & (ACCESSED | DIRTY))
        .isEqualTo(ACCESSED | DIRTY);
    assertThat(guest.memory.readLong(Guest.PD + 8) & (ACCESSED | DIRTY)).isEqualTo(ACCESSED);
  }

  @Test
  void flushOfALargePageForgetsAllOfIt() {
    guest.memory.writeLong(Guest.PD + 8, 0x20_0000 | 0x83);
    guest.memory.writeByte(0x20_1000, (byte) 0x11);
    // mov al, [0x201000]
    // mov qword [PD + 8], 0x83
    // invlpg [0x200000]
    // mov ah, [0x201000]
    // hlt
    guest.code(
        Guest.CODE, "8a042500102000 48c704250820010083000000 0f013c2500002000 8a242500102000 f4");
    guest.run();
    assertThat(guest.register(Cpu.RAX) & 0xFFFF).isEqualTo(0x8A11);
  }

  @Test
  void flushOfALargePageForgetsItsCode() {
    guest.memory.writeLong(Guest.PD + 8, 0x20_0000 | 0x83);
    guest.code(0x20_6000, "b001 c3");
    guest.code(0x6000, "b002 c3");
    // mov edx, 0x206000
    // call rdx
    // mov bl, al
    // mov qword [PD + 8], 0x83
    // invlpg [0x200000]
    // call rdx
    // hlt
    guest.code(
        Guest.CODE, "ba00602000 ffd2 88c3 48c704250820010083000000 0f013c2500002000 ffd2 f4");
    guest.run();
    assertThat(guest.register(Cpu.RBX) & 0xFF).isEqualTo(1);
    assertThat(guest.register(Cpu.RAX) & 0xFF).isEqualTo(2);
  }

  @Test
  void legacyPagingWith32BitEntries() {
    try (var legacy = new Guest().protectedMode()) {
      // Page directory at 0x40000: a 4 MiB page, then a table at 0x41000.
      legacy.memory.writeInt(0x4_0000, 0x83);
      legacy.memory.writeInt(0x4_0004, 0x4_1003);
      legacy.memory.writeInt(0x4_1000, 0x6001);
      // mov eax, 0x40000
      // mov cr3, eax
      // mov eax, cr4
      // or eax, 0x10
      // mov cr4, eax
      // mov eax, cr0
      // or eax, 0x80000000
      // mov cr0, eax
      // mov ebx, [0x400008]
      // mov [0x400008], eax
      legacy.code(
          Guest.CODE,
          "b800000400 0f22d8 0f20e0 83c810 0f22e0 0f20c0 0d00000080 0f22c0 "
              + "8b1d08004000 a308004000");
      legacy.memory.writeInt(0x6008, 0x1234_5678);
      assertThat(legacy.runToVector()).isEqualTo(GuestFault.PAGE_FAULT);
      assertThat(legacy.frame32(0)).isEqualTo(P | W);
      assertThat(legacy.cpu().cr2).isEqualTo(0x40_0008);
      assertThat(legacy.register(Cpu.RBX)).isEqualTo(0x1234_5678);
    }
  }

  @Test
  void paePagingChecksItsPointersWhenTheyAreLoaded() {
    try (var pae = new Guest().protectedMode()) {
      pae.memory.writeLong(0x4_0000, 0x4_1001);
      pae.memory.writeLong(0x4_1000, 0x83);
      // mov eax, 0x40000
      // mov cr3, eax
      // mov eax, cr4
      // or eax, 0x20
      // mov cr4, eax
      // mov eax, cr0
      // or eax, 0x80000000
      // mov cr0, eax
      // mov ebx, [0x6000]
      // mov dword [0x40008], 3
      // mov eax, cr3
      // mov cr3, eax
      pae.code(
          Guest.CODE,
          "b800000400 0f22d8 0f20e0 83c820 0f22e0 0f20c0 0d00000080 0f22c0 "
              + "8b1d00600000 c7050800040003000000 0f20d8 0f22d8");
      pae.memory.writeInt(0x6000, 0x1234_5678);
      assertThat(pae.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
      assertThat(pae.register(Cpu.RBX)).isEqualTo(0x1234_5678);
    }
  }
}
