package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.hypervisor.CpuidTable;
import dev.partita.hypervisor.CpuidTable.Leaf;
import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.hypervisor.PartitionConfiguration;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// CPUID: the table, its ends, and the fields that depend on the processor.
class CpuidInstructionTest {
  private final GuestMemory memory = new GuestMemory(1 << 20);

  @AfterEach
  void close() {
    memory.close();
  }

  private SoftwarePartition partition(int processors, long frequency, CpuidTable table) {
    return new SoftwarePartition(
        new PartitionConfiguration(
            processors, memory, table, frequency, new ManualTimeSource(0), p -> new QuietApics()));
  }

  private Cpu cpu() {
    return partition(1, 2_600_000_000L, SupportedCpuid.TABLE).softwareProcessors().getFirst().cpu();
  }

  private static Leaf look(Cpu c, int function, int subleaf) {
    return CpuidInstruction.look(c, function, subleaf);
  }

  @Test
  void theInstructionReturnsFourZeroExtendedRegisters() {
    try (var guest = new Guest().longMode()) {
      // mov rax, -1
      // mov rbx, -1
      // mov rdx, -1
      // xor eax, eax
      // cpuid
      // hlt
      guest.code(Guest.CODE, "48c7c0ffffffff 48c7c3ffffffff 48c7c2ffffffff 31c0 0fa2 f4");
      guest.run();
      assertThat(guest.register(Cpu.RAX)).isEqualTo(0x16);
      var vendor = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN);
      vendor.putInt((int) guest.register(Cpu.RBX));
      vendor.putInt((int) guest.register(Cpu.RDX));
      vendor.putInt((int) guest.register(Cpu.RCX));
      assertThat(new String(vendor.array(), StandardCharsets.US_ASCII)).isEqualTo("GenuineIntel");
      assertThat(guest.register(Cpu.RBX) >>> 32).isZero();
    }
  }

  @Test
  void brandString() {
    var c = cpu();
    var text = ByteBuffer.allocate(48).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < 3; i++) {
      var leaf = look(c, 0x8000_0002 + i, 0);
      text.putInt(leaf.eax()).putInt(leaf.ebx()).putInt(leaf.ecx()).putInt(leaf.edx());
    }
    assertThat(new String(text.array(), StandardCharsets.US_ASCII).trim())
        .isEqualTo("Partita software processor");
  }

  @Test
  void x86LevelThreeIsThere() {
    var leaf = look(cpu(), 1, 0);
    // SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT
    int level2 = 1 | 1 << 9 | 1 << 13 | 1 << 19 | 1 << 20 | 1 << 23;
    assertThat(leaf.ecx() & level2).isEqualTo(level2);
    // FMA, MOVBE, OSXSAVE's XSAVE, AVX, F16C
    int level3 = 1 << 12 | 1 << 22 | 1 << 26 | 1 << 28 | 1 << 29;
    assertThat(leaf.ecx() & level3).isEqualTo(level3);
    // BMI1, AVX2, BMI2
    int extended = 1 << 3 | 1 << 5 | 1 << 8;
    assertThat(look(cpu(), 7, 0).ebx() & extended).isEqualTo(extended);
    // AVX-512F is not.
    assertThat(look(cpu(), 7, 0).ebx() & 1 << 16).isZero();
    assertThat(look(cpu(), 0x8000_0001, 0).ecx() & 1 << 5).as("LZCNT").isNotZero();
    // Family 6, model 0x1C.
    assertThat(leaf.eax() >> 8 & 15).isEqualTo(6);
    assertThat((leaf.eax() >> 4 & 15) | (leaf.eax() >> 12 & 0xF0)).isEqualTo(0x1C);
    assertThat(look(cpu(), 0x8000_0001, 0).edx() & 1 << 29).as("long mode").isEqualTo(1 << 29);
    assertThat(look(cpu(), 0x8000_0008, 0).eax()).isEqualTo(46 | 48 << 8);
    assertThat(look(cpu(), 0x8000_0007, 0).edx() & 1 << 8).as("invariant TSC").isNotZero();
  }

  @Test
  void leavesBeyondTheRangesGiveTheHighestBasicLeaf() {
    var c = cpu();
    var highest = look(c, 0x16, 0);
    for (int function : new int[] {0x17, 0x1000, 0x4000_0000, 0x8000_0009, 0xC000_0000}) {
      var leaf = look(c, function, 0);
      assertThat(leaf.eax()).as("0x%x", function).isEqualTo(highest.eax());
      assertThat(leaf.ecx()).isEqualTo(highest.ecx());
    }
  }

  @Test
  void leavesOfTheOwnerAreGiven() {
    var table =
        SupportedCpuid.TABLE.with(
            List.of(
                new Leaf(0x4000_0000, CpuidTable.ANY_SUBLEAF, 0x4000_0006, 1, 2, 3),
                new Leaf(0x4000_0001, CpuidTable.ANY_SUBLEAF, 0x3123_7648, 0, 0, 0)));
    var c = partition(1, 1_000_000_000L, table).softwareProcessors().getFirst().cpu();
    assertThat(look(c, 0x4000_0001, 5).eax()).isEqualTo(0x3123_7648);
    assertThat(look(c, 0x4000_0004, 0).eax()).as("in the range, but not there").isZero();
    for (int function : new int[] {0x4000_0007, 0x4000_0082, 0x4000_0100, 0x4FFF_FFFF}) {
      assertThat(look(c, function, 0).eax()).as("beyond the range: 0x%x", function).isZero();
    }
  }

  @Test
  void osxsaveFollowsCr4AndTheApicBitItsBase() {
    var c = cpu();
    assertThat(look(c, 1, 0).ecx() & 1 << 27).isZero();
    assertThat(look(c, 1, 0).edx() & 1 << 9).isNotZero();
    c.cr4 |= Cpu.CR4_OSXSAVE;
    c.apic.setApicBase(0xFEE0_0100L);
    assertThat(look(c, 1, 0).ecx() & 1 << 27).isNotZero();
    assertThat(look(c, 1, 0).edx() & 1 << 9).isZero();
  }

  @Test
  void topologyOfSeveralProcessors() {
    var processors = partition(3, 1_000_000_000L, SupportedCpuid.TABLE).softwareProcessors();
    var c = processors.get(2).cpu();
    assertThat(look(c, 1, 0).ebx() >>> 24).as("APIC id").isEqualTo(2);
    assertThat(look(c, 1, 0).ebx() >> 16 & 0xFF).as("room for ids").isEqualTo(4);
    assertThat(look(c, 1, 0).edx() & 1 << 28).as("HTT").isNotZero();
    assertThat(look(c, 0xB, 0)).isEqualTo(new Leaf(0xB, 0, 0, 1, 1 << 8, 2));
    assertThat(look(c, 0xB, 1)).isEqualTo(new Leaf(0xB, 1, 2, 3, 1 | 2 << 8, 2));
    assertThat(look(c, 0xB, 2)).isEqualTo(new Leaf(0xB, 2, 0, 0, 2, 2));
    assertThat(look(c, 4, 0).eax() >>> 26).as("cores").isEqualTo(3);
    assertThat(look(c, 4, 0).eax() >> 14 & 0xFFF).as("L1 is a core's own").isZero();
    assertThat(look(c, 4, 3).eax() >> 14 & 0xFFF).as("L3 is shared").isEqualTo(3);
    assertThat(look(c, 4, 4).eax()).isZero();
  }

  @Test
  void oneProcessorAlone() {
    var c = cpu();
    assertThat(look(c, 1, 0).edx() & 1 << 28).isZero();
    assertThat(look(c, 0xB, 1)).isEqualTo(new Leaf(0xB, 1, 0, 1, 1 | 2 << 8, 0));
    assertThat(look(c, 4, 3).eax() >>> 14).isZero();
  }

  @Test
  void frequenciesComeFromTheConfiguration() {
    var crystal = look(cpu(), 0x15, 0);
    assertThat((long) crystal.ecx() * crystal.ebx() / crystal.eax()).isEqualTo(2_600_000_000L);
    assertThat(crystal.ecx()).as("the APIC timer's clock").isEqualTo(1_000_000_000);
    assertThat(look(cpu(), 0x16, 0).eax()).isEqualTo(2600);
    var odd =
        partition(1, 2_599_998_123L, SupportedCpuid.TABLE).softwareProcessors().getFirst().cpu();
    var leaf = look(odd, 0x15, 0);
    assertThat((leaf.ecx() & 0xFFFF_FFFFL) * leaf.ebx() / leaf.eax()).isEqualTo(2_599_998_123L);
  }

  @Test
  void xsaveSizes() {
    var c = cpu();
    var leaf = look(c, 0xD, 0);
    assertThat(leaf.eax()).isEqualTo(7);
    assertThat(leaf.ebx()).as("what XCR0 enables").isEqualTo(576);
    assertThat(leaf.ecx()).isEqualTo(832);
    assertThat(look(c, 0xD, 1).ebx()).isEqualTo(576);
    c.xcr0 = 7;
    assertThat(look(c, 0xD, 0).ebx()).isEqualTo(832);
    assertThat(look(c, 0xD, 1).eax()).as("XSAVEOPT, XSAVEC, XGETBV of XINUSE").isEqualTo(7);
    assertThat(look(c, 0xD, 1).ebx()).isEqualTo(832);
    assertThat(look(c, 0xD, 2)).isEqualTo(new Leaf(0xD, 2, 256, 576, 0, 0));
    assertThat(look(c, 0xD, 3).eax()).isZero();
  }

  @Test
  void hiddenFeaturesCannotBeEnabled() {
    var leaf = SupportedCpuid.TABLE.find(7, 0);
    if (leaf == null) {
      throw new AssertionError("leaf 7 is missing");
    }
    int smep = 1 << 7;
    var table =
        SupportedCpuid.TABLE.with(
            List.of(new Leaf(7, 0, leaf.eax(), leaf.ebx() & ~smep, leaf.ecx(), leaf.edx())));
    var c = partition(1, 1_000_000_000L, table).softwareProcessors().getFirst().cpu();
    assertThat(c.supportedCr4 & Cpu.CR4_SMEP).isZero();
    assertThat(cpu().supportedCr4 & Cpu.CR4_SMEP).isNotZero();
  }
}
