package dev.partita.engine.software;

import dev.partita.hypervisor.CpuidTable;
import java.util.List;

final class SupportedCpuid {
  static final CpuidTable TABLE = new CpuidTable(List.of());

  private SupportedCpuid() {}
}
