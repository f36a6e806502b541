package dev.partita.enlightenment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.hypervisor.CpuidTable;
import dev.partita.hypervisor.CpuidTable.Leaf;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

class CpuidLeavesTest {
  private static CpuidTable table(boolean invariantTsc) {
    var base = Guest.base(invariantTsc);
    return base.with(Enlightenment.cpuidLeaves(base, 2));
  }

  private static Leaf leaf(CpuidTable table, int function) {
    var leaf = table.find(function, 0);
    if (leaf == null) {
      throw new AssertionError("no leaf 0x%x".formatted(function));
    }
    return leaf;
  }

  private static String text(int... registers) {
    var buffer = ByteBuffer.allocate(4 * registers.length).order(ByteOrder.LITTLE_ENDIAN);
    for (int register : registers) {
      buffer.putInt(register);
    }
    return new String(buffer.array(), StandardCharsets.US_ASCII);
  }

  @Test
  void vendorAndInterfaceAreThoseOfHyperV() {
    var vendor = leaf(table(true), 0x4000_0000);
    // Linux and Windows refuse less than 0x40000005.
    assertThat(vendor.eax()).isBetween(0x4000_0005, 0x4000_00FF);
    assertThat(text(vendor.ebx(), vendor.ecx(), vendor.edx())).isEqualTo("Microsoft Hv");
    assertThat(text(leaf(table(true), 0x4000_0001).eax())).isEqualTo("Hv#1");
  }

  @Test
  void everyLeafUpToTheHighestIsThere() {
    var table = table(true);
    for (int function = 0x4000_0000; function <= leaf(table, 0x4000_0000).eax(); function++) {
      assertThat(table.find(function, 0)).as("leaf 0x%x", function).isNotNull();
      assertThat(table.find(function, 7)).as("any sub-leaf of 0x%x", function).isNotNull();
    }
  }

  @Test
  void virtualizationStackTellsThatItsBusIsNotConfidential() {
    var vendor = leaf(table(true), 0x4000_0080);
    assertThat(vendor.eax()).isEqualTo(0x4000_0082);
    assertThat(text(vendor.ebx(), vendor.ecx(), vendor.edx())).isEqualTo("Microsoft VS");
    assertThat(text(leaf(table(true), 0x4000_0081).eax())).isEqualTo("VS#1");
    // Bit 2: extended I/O APIC entries; bit 3: confidential VMBus.
    assertThat(leaf(table(true), 0x4000_0082).eax()).isEqualTo(1);
  }

  @Test
  void hypervisorPresentBitIsAddedToTheProcessorsOwnLeaf() {
    var one = leaf(table(true), 1);
    assertThat(one.ecx()).isEqualTo(0x8000_1234);
    assertThat(one.eax()).isEqualTo(0x306F2);
    assertThat(one.ebx()).isEqualTo(0x800);
    assertThat(one.edx()).isEqualTo(0x5678);
  }

  @Test
  void privilegesAreThoseImplemented() {
    // Bits 1, 2, 3, 5, 6, 9, 11 and 15 of HV_PARTITION_PRIVILEGE_MASK; 36 and 37.
    assertThat(leaf(table(true), 0x4000_0003).eax()).isEqualTo(0x8A6E);
    assertThat(leaf(table(true), 0x4000_0003).ebx()).isEqualTo(0x30);
    assertThat(leaf(table(true), 0x4000_0003).edx())
        .isEqualTo(1 << 8 | 1 << 10 | 1 << 18 | 1 << 19);
  }

  @Test
  void automaticEoiIsAdvisedAgainst() {
    assertThat(leaf(table(true), 0x4000_0004).eax() & 1 << 9).isNotZero();
  }

  @Test
  void controlOfTheInvariantTscIsOfferedOnlyIfThereIsOne() {
    assertThat(leaf(table(false), 0x4000_0003).eax()).isEqualTo(0x0A6E);
  }

  @Test
  void buildIsOneWhoseInvariantTscLinuxTrusts() {
    assertThat(leaf(table(true), 0x4000_0002).eax()).isGreaterThanOrEqualTo(22621);
    assertThat(leaf(table(true), 0x4000_0002).ebx()).isEqualTo(10 << 16);
  }

  @Test
  void limitsAndAddressSizeAreThePartitionsOwn() {
    assertThat(leaf(table(true), 0x4000_0004).ebx()).isEqualTo(-1);
    assertThat(leaf(table(true), 0x4000_0004).ecx()).isEqualTo(0x28);
    assertThat(leaf(table(true), 0x4000_0005).eax()).isEqualTo(2);
    assertThat(leaf(table(true), 0x4000_0005).ebx()).isEqualTo(2);
  }

  @Test
  void tableWithoutLeafOneIsRefused() {
    var empty = new CpuidTable(List.of());
    assertThatThrownBy(() -> Enlightenment.cpuidLeaves(empty, 1))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
