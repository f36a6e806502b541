package dev.partita.engine.kvm;

import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.ProcessorState.Segment;

/// States for tests.
final class TestStates {
  private TestStates() {}

  /// A processor after reset, but about to run at 0:0.
  static ProcessorState realMode(ProcessorState s) {
    return new ProcessorState(
        s.general(),
        0,
        s.rflags(),
        s.es(),
        new Segment(0, 0, 0xFFFF, 0x9B),
        s.ss(),
        s.ds(),
        s.fs(),
        s.gs(),
        s.ldtr(),
        s.tr(),
        s.gdtr(),
        s.idtr(),
        s.cr0(),
        s.cr2(),
        s.cr3(),
        s.cr4(),
        s.efer(),
        s.xcr0(),
        s.debug(),
        s.xsave(),
        s.msrs(),
        s.tsc(),
        s.events(),
        s.localApic());
  }
}
