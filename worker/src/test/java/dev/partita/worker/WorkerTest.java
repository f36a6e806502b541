package dev.partita.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.hypervisor.PartitionException;
import dev.partita.worker.Outcome.StopReason;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(120)
class WorkerTest {
  private final Console console = new Console();
  private final List<ScriptedMachine> made = new ArrayList<>();

  @AfterEach
  void close() {
    console.close();
  }

  /// Does as told when it is started.
  private static final class ScriptedMachine implements Machine {
    final Runnable script;
    final GuestServices services = new GuestServices("test", new ManualTimeSource(0), () -> 0);
    boolean started;
    boolean closed;

    ScriptedMachine(Runnable script) {
      this.script = script;
    }

    @Override
    public void start() {
      started = true;
      script.run();
    }

    @Override
    public GuestServices services() {
      return services;
    }

    @Override
    public Statistics statistics() {
      return new Statistics(1000, 10, Map.of("port-read", 2L), 5, 6);
    }

    @Override
    public void close() {
      closed = true;
    }
  }

  private Worker worker(boolean restartOnReset, List<Consumer<Machine.Events>> lives) {
    var settings =
        new PartitionSettings(
            "test", 1 << 20, 1, Path.of("kernel"), null, "", "auto", restartOnReset, false);
    return new Worker(
        settings,
        console,
        events -> {
          var life = lives.get(made.size());
          var machine = new ScriptedMachine(() -> life.accept(events));
          made.add(machine);
          return machine;
        });
  }

  private void assertAllClosed(int count) {
    assertThat(made).hasSize(count).allMatch(machine -> machine.closed);
  }

  @Test
  void theGuestIsThatOfTheMachineThatRuns() throws Exception {
    var workers = new ArrayList<Worker>();
    var guests = new ArrayList<GuestServices>();
    var worker =
        worker(
            true,
            List.of(
                events -> {
                  workers.getFirst().guest().services().ifPresent(guests::add);
                  events.reset();
                },
                events -> {
                  workers.getFirst().guest().services().ifPresent(guests::add);
                  events.poweredOff();
                }));
    workers.add(worker);
    assertThat(worker.guest().services()).as("not begun").isEmpty();
    assertThat(worker.heartbeat()).isEqualTo("no-contact");
    worker.run();
    assertThat(guests).containsExactly(made.getFirst().services, made.getLast().services);
    assertThat(worker.guest().services()).as("ended").isEmpty();
  }

  @Test
  void resetButtonMakesANewMachineOnce() throws Exception {
    var workers = new ArrayList<Worker>();
    var worker = worker(true, List.of(_ -> workers.getFirst().reset(), Machine.Events::poweredOff));
    workers.add(worker);
    worker.reset();
    assertThat(worker.run()).isEqualTo(new Outcome.PoweredOff());
    assertThat(worker.resets()).isEqualTo(1);
    assertThat(worker.awaitReset(0)).isTrue();
    assertThat(worker.awaitReset(1)).as("ended before").isFalse();
    assertAllClosed(2);
  }

  @Test
  void powerOffEndsIt() throws Exception {
    assertThat(worker(true, List.of(Machine.Events::poweredOff)).run())
        .isEqualTo(new Outcome.PoweredOff());
    assertAllClosed(1);
  }

  @Test
  void aResetMakesANewMachine() throws Exception {
    var worker =
        worker(
            true,
            List.of(Machine.Events::reset, Machine.Events::reset, Machine.Events::poweredOff));
    assertThat(worker.run()).isEqualTo(new Outcome.PoweredOff());
    assertAllClosed(3);
    assertThat(worker.statistics())
        .isEqualTo(new Statistics(3000, 30, Map.of("port-read", 6L), 5, 6));
  }

  @Test
  void aResetEndsItWhenAsked() throws Exception {
    assertThat(worker(false, List.of(Machine.Events::reset)).run())
        .isEqualTo(new Outcome.Rebooted());
    assertAllClosed(1);
  }

  @Test
  void theFirstEventCounts() throws Exception {
    var worker =
        worker(
            true,
            List.of(
                events -> {
                  events.crashed("Kernel panic", List.of("a word"));
                  events.reset();
                }));
    assertThat(worker.run()).isEqualTo(new Outcome.Crashed("Kernel panic", List.of("a word")));
    assertAllClosed(1);
  }

  @Test
  void stopEndsARunningPartition() throws Exception {
    var started = new CompletableFuture<Boolean>();
    var worker = worker(true, List.of(_ -> started.complete(true)));
    var outcome = new CompletableFuture<Outcome>();
    Thread.ofPlatform()
        .start(
            () -> {
              try {
                outcome.complete(worker.run());
              } catch (Exception e) {
                outcome.completeExceptionally(e);
              }
            });
    started.get();
    worker.stop(StopReason.OPERATOR);
    worker.stop(StopReason.TIMEOUT);
    assertThat(outcome.get()).isEqualTo(new Outcome.Stopped(StopReason.OPERATOR));
    assertAllClosed(1);
  }

  @Test
  void aPartitionStoppedBeforehandNeverStarts() throws Exception {
    var worker = worker(true, List.of());
    worker.stop(StopReason.SIGNAL);
    assertThat(worker.run()).isEqualTo(new Outcome.Stopped(StopReason.SIGNAL));
    assertThat(made).isEmpty();
  }

  @Test
  void aFailureOfOursIsToldApartFromTheGuests() throws Exception {
    var worker = worker(true, List.of(events -> events.failed("broken", List.of("here"))));
    assertThat(worker.run()).isEqualTo(new Outcome.Failed("broken", List.of("here")));
    assertAllClosed(1);
  }

  @Test
  void aMachineThatCannotStartIsClosed() {
    var worker =
        worker(
            true,
            List.of(
                _ -> {
                  throw new PartitionException("no");
                }));
    assertThatThrownBy(worker::run).isInstanceOf(PartitionException.class);
    assertAllClosed(1);
  }

  @Test
  void impossibleSettingsAreRefusedInOneLine() {
    for (long[] bad :
        new long[][] {{0, 1}, {4096, 1}, {(1 << 20) + 1, 1}, {1 << 20, 0}, {1 << 20, 255}}) {
      assertThatThrownBy(
              () ->
                  new PartitionSettings(
                      "x", bad[0], (int) bad[1], Path.of("k"), null, "", "auto", true, false))
          .isInstanceOf(PartitionException.class)
          .message()
          .doesNotContain("\n");
    }
  }
}
