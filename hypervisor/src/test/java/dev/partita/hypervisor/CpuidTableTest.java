package dev.partita.hypervisor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.hypervisor.CpuidTable.Leaf;
import java.util.List;
import org.junit.jupiter.api.Test;

class CpuidTableTest {
  private static final Leaf ANY = new Leaf(1, CpuidTable.ANY_SUBLEAF, 1, 2, 3, 4);
  private static final Leaf FOUR_ONE = new Leaf(4, 1, 5, 6, 7, 8);

  @Test
  void leavesAreFoundBySubleafOrForAny() {
    var table = new CpuidTable(List.of(FOUR_ONE, ANY));
    assertThat(table.find(1, 77)).isSameAs(ANY);
    assertThat(table.find(4, 1)).isSameAs(FOUR_ONE);
    assertThat(table.find(4, 0)).isNull();
    assertThat(table.find(0x4000_0000, 0)).isNull();
    assertThat(table.leaves()).containsExactly(ANY, FOUR_ONE);
  }

  @Test
  void changesReplaceAndAdd() {
    var changed = new Leaf(1, CpuidTable.ANY_SUBLEAF, 9, 9, 9, 9);
    var added = new Leaf(0x8000_0000, CpuidTable.ANY_SUBLEAF, 1, 0, 0, 0);
    var table = new CpuidTable(List.of(FOUR_ONE, ANY)).with(List.of(changed, added));
    assertThat(table.leaves()).containsExactly(changed, FOUR_ONE, added);
  }
}
