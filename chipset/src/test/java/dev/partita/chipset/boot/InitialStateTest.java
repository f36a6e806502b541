package dev.partita.chipset.boot;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.ProcessorState.Activity;
import java.util.List;
import org.junit.jupiter.api.Test;

/// Against Intel SDM volume 3, table "IA-32 and Intel 64 Processor States Following Power-up,
/// Reset, or INIT".
class InitialStateTest {
  private final ProcessorState state = InitialState.reset(0x306F2);

  @Test
  void resetFetchesFromTheResetVector() {
    assertThat(state.cs().selector()).isEqualTo(0xF000);
    assertThat(state.cs().base() + state.rip()).isEqualTo(0xFFFF_FFF0L);
    assertThat(state.cs().limit()).isEqualTo(0xFFFF);
    assertThat(state.rflags()).isEqualTo(2);
    assertThat(state.events().activity()).isEqualTo(Activity.RUNNING);
  }

  @Test
  void resetRegistersAreThoseOfTheTable() {
    assertThat(state.cr0()).isEqualTo(0x6000_0010L);
    assertThat(state.cr2()).isZero();
    assertThat(state.cr3()).isZero();
    assertThat(state.cr4()).isZero();
    assertThat(state.efer()).isZero();
    assertThat(state.xcr0()).isEqualTo(1);
    assertThat(state.debug()).containsExactly(0, 0, 0, 0, 0xFFFF_0FF0L, 0x400);
    for (int i = 0; i < 16; i++) {
      assertThat(state.general()[i]).isEqualTo(i == ProcessorState.RDX ? 0x306F2 : 0);
    }
    for (var data : List.of(state.ds(), state.es(), state.ss(), state.fs(), state.gs())) {
      assertThat(data).isEqualTo(new ProcessorState.Segment(0, 0, 0xFFFF, 0x93));
    }
    for (var table : List.of(state.gdtr(), state.idtr())) {
      assertThat(table).isEqualTo(new ProcessorState.Table(0, 0xFFFF));
    }
    for (var system : List.of(state.ldtr(), state.tr())) {
      assertThat(system.selector()).isZero();
      assertThat(system.base()).isZero();
      assertThat(system.limit()).isEqualTo(0xFFFF);
      assertThat(system.attributes() & 0x80).as("present").isEqualTo(0x80);
    }
  }

  @Test
  void resetFloatingPointStateIsThatOfTheTable() {
    var area = state.xsave();
    assertThat(area[0] & 0xFF | (area[1] & 0xFF) << 8).as("FCW").isEqualTo(0x40);
    assertThat(area[2] | area[3]).as("FSW").isZero();
    assertThat(area[4] & 0xFF).as("all registers hold zero, FTW is 5555").isEqualTo(0xFF);
    assertThat(area[24] & 0xFF | (area[25] & 0xFF) << 8).as("MXCSR").isEqualTo(0x1F80);
    assertThat(area[512] & 3).as("XSTATE_BV: x87 and SSE").isEqualTo(3);
  }

  @Test
  void applicationProcessorsWaitForAStartUpIpi() {
    var waiting = InitialState.waitForStartup(0x306F2);
    assertThat(waiting.events().activity()).isEqualTo(Activity.WAIT_FOR_SIPI);
    assertThat(waiting.cr0()).isEqualTo(state.cr0());
    assertThat(waiting.cs()).isEqualTo(state.cs());
    assertThat(waiting.rip()).isEqualTo(state.rip());
  }
}
