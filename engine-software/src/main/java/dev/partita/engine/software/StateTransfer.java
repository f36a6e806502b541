package dev.partita.engine.software;

import dev.partita.hypervisor.ProcessorState;

final class StateTransfer {
  private StateTransfer() {}

  static ProcessorState save(Cpu c, boolean waitForStartup) {
    throw new UnsupportedOperationException();
  }

  static void load(Cpu c, ProcessorState state) {
    throw new UnsupportedOperationException();
  }
}
