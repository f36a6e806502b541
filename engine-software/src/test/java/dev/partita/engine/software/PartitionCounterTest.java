package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.hypervisor.ManualTimeSource;
import org.junit.jupiter.api.Test;

class PartitionCounterTest {
  private static final long FREQUENCY = 1_000_000_000L;
  private static final long SECOND = 1_000_000_000L;

  private final ManualTimeSource time = new ManualTimeSource(1_700_000_000_000_000_000L);
  private final PartitionCounter counter = new PartitionCounter(time, FREQUENCY);
  private final TimeStampCounter first = new TimeStampCounter(counter);
  private final TimeStampCounter second = new TimeStampCounter(counter);

  @Test
  void loadingOneProcessorsStateLaterKeepsItInStepWithTheOthers() {
    time.advance(SECOND);
    long saved = first.read();
    time.advance(40_000_000);
    first.restore(saved, first.adjust());
    assertThat(first.read()).isEqualTo(second.read());
  }

  @Test
  void savedCountersGoOnInStepAlthoughTheyWereTakenAndLoadedOneAfterAnother() {
    time.advance(SECOND);
    first.restore(3600 * FREQUENCY, 0);
    time.advance(5_000_000);
    second.restore(3600 * FREQUENCY + 700_000, 0);
    assertThat(second.read()).isEqualTo(first.read()).isEqualTo(3600 * FREQUENCY + 5_000_000);
  }

  @Test
  void adjustmentsOfTheGuestSetProcessorsApartAndAreRestored() {
    first.write(500);
    assertThat(first.read()).isEqualTo(500);
    second.setAdjust(-70);
    time.advance(10 * SECOND);
    long saved = second.read();
    var restored = new TimeStampCounter(new PartitionCounter(time, FREQUENCY));
    restored.restore(saved, -70);
    assertThat(restored.read()).isEqualTo(saved);
    assertThat(restored.adjust()).isEqualTo(-70);
  }

  @Test
  void counterGoesBackToAnOlderState() {
    time.advance(100 * SECOND);
    first.restore(SECOND, 0);
    assertThat(first.read()).isEqualTo(SECOND);
    assertThat(second.read()).isEqualTo(SECOND);
  }
}
