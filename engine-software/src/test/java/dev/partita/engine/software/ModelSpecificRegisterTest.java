package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// RDMSR and WRMSR: what is there, what values they take, what goes to the owner.
class ModelSpecificRegisterTest {
  private final Guest guest = new Guest().longMode();

  @AfterEach
  void close() {
    guest.close();
  }

  /// Runs RDMSR.
  ///
  /// @return the vector it raised, or -1; the value is in RDX:RAX
  private int read(int index) {
    guest.longMode().code(Guest.CODE, "0f 32 f4");
    guest.cpu().r[Cpu.RCX] = index & 0xFFFF_FFFFL;
    guest.run();
    return guest.vector();
  }

  private long value() {
    return guest.register(Cpu.RDX) << 32 | guest.register(Cpu.RAX);
  }

  private int write(int index, long value) {
    guest.longMode().code(Guest.CODE, "0f 30 f4");
    guest.cpu().r[Cpu.RCX] = index & 0xFFFF_FFFFL;
    guest.cpu().r[Cpu.RAX] = value & 0xFFFF_FFFFL;
    guest.cpu().r[Cpu.RDX] = value >>> 32;
    guest.run();
    return guest.vector();
  }

  private void keeps(int index, long value) {
    assertThat(write(index, value)).as("WRMSR 0x%x", index).isEqualTo(-1);
    assertThat(read(index)).as("RDMSR 0x%x", index).isEqualTo(-1);
    assertThat(value()).as("MSR 0x%x", index).isEqualTo(value);
  }

  private void refuses(int index, long value) {
    assertThat(write(index, value))
        .as("WRMSR 0x%x of 0x%x", index, value)
        .isEqualTo(GuestFault.GENERAL_PROTECTION);
  }

  @ParameterizedTest
  @CsvSource({
    "0xC0000081, 0x0023001000000000", // STAR
    "0xC0000082, 0xFFFFFFFF81000000", // LSTAR
    "0xC0000083, 0xFFFFFFFF81000100", // CSTAR
    "0xC0000084, 0x257FD5", // FMASK
    "0xC0000102, 0xFFFF888000000000", // KERNEL_GS_BASE
    "0xC0000103, 0x1001", // TSC_AUX
    "0x174, 0x10", // SYSENTER_CS
    "0x175, 0xFFFFFE0000003000", // SYSENTER_ESP
    "0x176, 0xFFFFFFFF81800000", // SYSENTER_EIP
    "0x277, 0x0407050600070106", // PAT
    "0x200, 0xC0000000", // MTRR_PHYSBASE0
    "0x201, 0x3FFFC0000800", // MTRR_PHYSMASK0
    "0x250, 0x0606060606060606", // MTRR_FIX64K_00000
    "0x2FF, 0xC06", // MTRR_DEF_TYPE
    "0x3B, 0x1000", // TSC_ADJUST
  })
  void registersKeepWhatTheyAreGiven(String index, String value) {
    keeps(Long.decode(index).intValue(), Long.parseUnsignedLong(value.substring(2), 16));
  }

  @Test
  void addressesMustBeCanonical() {
    for (int index :
        new int[] {0xC000_0082, 0xC000_0083, 0xC000_0100, 0xC000_0101, 0xC000_0102, 0x175, 0x176}) {
      refuses(index, 0x8000_0000_0000L);
    }
  }

  @Test
  void badValuesAreRefused() {
    refuses(0xC000_0103, 1L << 32); // TSC_AUX
    refuses(0xC000_0084, 1L << 32); // FMASK
    refuses(0x277, 0x0000_0000_0000_0002L); // PAT: type 2
    refuses(0x277, 0x0800_0000_0000_0000L);
    refuses(0x2FF, 2); // MTRR default type 2
    refuses(0x2FF, 0x1000);
    refuses(0x200, 3); // MTRR type 3
    refuses(0x201, 1L << 46); // beyond physical memory
    refuses(0x250, 0x0606_0606_0606_0607L);
    refuses(0xFE, 0); // MTRRCAP is read-only
    refuses(0x1A0, 1L << 50); // MISC_ENABLE
    refuses(0x1D9, 4); // DEBUGCTL
  }

  @Test
  void eferTakesKnownBitsAndLmeOnlyWithoutPaging() {
    refuses(0xC000_0080, 0x0900 ^ 0x100); // LME off while paging
    refuses(0xC000_0080, 0xD01 | 1 << 14); // FFXSR is AMD's
    assertThat(write(0xC000_0080, 0x900)).isEqualTo(-1);
    assertThat(guest.cpu().efer).as("LMA stays, SCE goes").isEqualTo(0xD00);
  }

  @Test
  void segmentBasesAreTheSegmentRegisters() {
    assertThat(write(0xC000_0100, 0xFFFF_8880_0000_1000L)).isEqualTo(-1);
    assertThat(guest.cpu().segmentBase[Cpu.FS]).isEqualTo(0xFFFF_8880_0000_1000L);
    assertThat(write(0xC000_0101, 0x1234)).isEqualTo(-1);
    assertThat(guest.cpu().segmentBase[Cpu.GS]).isEqualTo(0x1234);
  }

  @Test
  void readOnlyFacts() {
    assertThat(read(0x10A)).isEqualTo(-1);
    assertThat(value() & 0x21).as("RDCL_NO, MDS_NO").isEqualTo(0x21);
    assertThat(read(0xFE)).isEqualTo(-1);
    assertThat(value()).isEqualTo(0x508);
    assertThat(read(0x179)).isEqualTo(-1);
    assertThat(value()).as("no machine check banks").isZero();
    assertThat(read(0x1B)).isEqualTo(-1);
    assertThat(value()).isEqualTo(0xFEE0_0900L);
    assertThat(read(0x1A0)).isEqualTo(-1);
    assertThat(value() & 1).as("fast strings").isEqualTo(1);
  }

  @Test
  void timeStampCounterFollowsTimeAndWritesMoveTscAdjust() {
    guest.time.advance(1_000);
    assertThat(read(0x10)).isEqualTo(-1);
    assertThat(value()).as("1 us at 2 GHz").isEqualTo(2_000);
    assertThat(write(0x10, 10_000)).isEqualTo(-1);
    assertThat(read(0x3B)).isEqualTo(-1);
    assertThat(value()).isEqualTo(8_000);
    guest.time.advance(1_000);
    // rdtsc
    // mov ebx, eax
    // rdtscp
    // hlt
    guest.longMode().code(Guest.CODE, "0f31 89c3 0f01f9 f4");
    guest.cpu().msrs.tscAux = 7;
    guest.run();
    assertThat(guest.register(Cpu.RBX)).isEqualTo(12_000);
    assertThat(guest.register(Cpu.RAX)).isEqualTo(12_000);
    assertThat(guest.register(Cpu.RCX)).isEqualTo(7);
  }

  @Test
  void timeStampDisableKeepsUsersOut() {
    guest.cpu().cr4 |= Cpu.CR4_TSD;
    guest.user().code(Guest.USER_CODE, "0f 31");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
  }

  @Test
  void thereAreNoPerformanceCounters() {
    guest.code(Guest.CODE, "0f 33");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
  }

  @Test
  void x2apicRegistersExistInX2apicModeOnly() {
    assertThat(read(0x802)).isEqualTo(GuestFault.GENERAL_PROTECTION);
    refuses(0x1B, 0xFEE0_09FF);
    assertThat(write(0x1B, 0xFEE0_0D00L)).isEqualTo(-1);
    keeps(0x808, 0x20);
    keeps(0x6E0, 0x1_2345_6789L);
    assertThat(guest.apic().deadline).isEqualTo(0x1_2345_6789L);
  }

  @Test
  void unknownRegistersGoToTheOwner() {
    assertThat(read(0x4000_0000)).isEqualTo(GuestFault.GENERAL_PROTECTION);
    refuses(0x4000_0000, 1);
    guest.msrs.put(0x4000_0000, 0x8877_6655_4433_2211L);
    assertThat(read(0x4000_0000)).isEqualTo(-1);
    assertThat(value()).isEqualTo(0x8877_6655_4433_2211L);
    assertThat(write(0x4000_0000, 0x1122_3344_5566_7788L)).isEqualTo(-1);
    assertThat(guest.msrs).containsEntry(0x4000_0000, 0x1122_3344_5566_7788L);
  }

  @Test
  void userMayNotReadOrWrite() {
    guest.user().code(Guest.USER_CODE, "0f 32");
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
  }
}
