package dev.partita.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.disk.CreateOptions;
import dev.partita.disk.DiskFormat;
import dev.partita.disk.DiskType;
import dev.partita.disk.Disks;
import dev.partita.hypervisor.PartitionException;
import dev.partita.synthetic.storage.ScsiController;
import dev.partita.synthetic.storage.ScsiDisk;
import dev.partita.synthetic.storage.UnitState;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class DrivesTest {
  @TempDir Path folder;

  private final Drives drives = new Drives();
  private final DriveRequests requests = new DriveRequests(drives);
  private final ScsiController controller = new ScsiController(new UUID(1, 2), 0, Runnable::run);

  @BeforeEach
  void connect() {
    drives.connect(controller);
  }

  @AfterEach
  void close() {
    drives.close();
  }

  private Path raw(String name) throws IOException {
    return Files.write(folder.resolve(name), new byte[1 << 20]);
  }

  private String ask(String... words) {
    return requests.serve(ControlWords.encode(words));
  }

  private List<List<String>> list() {
    return ask("drive-list").lines().skip(1).map(ControlWords::decode).toList();
  }

  // --- what an operator asks for ---

  @Test
  void drivesComeAndGo() throws Exception {
    var file = raw("a disk, with % and spaces.raw").toString();
    assertThat(ask("drive-list")).isEqualTo("ok\n");
    assertThat(ask("drive-add", "disk", file, "-", "rw", "-")).isEqualTo("ok 0\n");
    assertThat(ask("drive-add", "dvd", "", "-", "ro", "7")).isEqualTo("ok 7\n");
    assertThat(ask("drive-add", "dvd", raw("b.iso").toString(), "-", "ro", "-"))
        .isEqualTo("ok 1\n");
    assertThat(list())
        .containsExactly(
            List.of("0", "disk", "raw", "rw", "1048576", "-", "0", "0", file),
            List.of("1", "dvd", "raw", "ro", "1048576", "in", "0", "0", folder + "/b.iso"),
            List.of("7", "dvd", "-", "ro", "0", "in", "0", "0", ""));
    assertThat(controller.state().units().keySet()).containsExactlyInAnyOrder(0, 1, 7);
    assertThat(ask("drive-remove", "0")).isEqualTo("ok\n");
    assertThat(ask("drive-remove", "0")).isEqualTo("error there is no drive at LUN 0\n");
    assertThat(controller.state().units().keySet()).containsExactlyInAnyOrder(1, 7);
    Disks.open(Path.of(file), true).close();
  }

  @Test
  void mediaComeAndGo() throws Exception {
    var image = raw("a.iso").toString();
    assertThat(ask("drive-insert", "-", image)).isEqualTo("error there is no DVD drive\n");
    ask("drive-add", "dvd", "", "-", "ro", "3");
    assertThat(ask("drive-eject", "-", "ask")).isEqualTo("error the drive at LUN 3 is empty\n");
    assertThat(ask("drive-insert", "-", image)).isEqualTo("ok 3\n");
    assertThat(ask("drive-insert", "3", image)).startsWith("error ").contains("eject that first");
    assertThat(controller.state().units().get(3))
        .isInstanceOfSatisfying(
            UnitState.Dvd.class, dvd -> assertThat(dvd.attentions()).hasSize(1));
    assertThat(ask("drive-eject", "-", "ask")).isEqualTo("ok 3\n");
    assertThat(list().getFirst().getLast()).isEmpty();
    ask("drive-add", "dvd", "", "-", "ro", "4");
    assertThat(ask("drive-insert", "-", image)).startsWith("error ").contains("[3, 4]");
    ask("drive-add", "disk", raw("a.raw").toString(), "-", "rw", "0");
    assertThat(ask("drive-eject", "0", "force")).startsWith("error ").contains("no DVD drive");
  }

  @Test
  void whatCannotBeIsRefusedInOneLine() throws Exception {
    var file = raw("a.raw").toString();
    ask("drive-add", "disk", file, "-", "rw", "5");
    Files.createFile(folder.resolve("empty.raw"));
    Stream.of(
            List.of("drive-add", "disk", file, "-", "rw", "6"),
            List.of("drive-add", "disk", raw("b.raw").toString(), "-", "rw", "5"),
            List.of("drive-add", "disk", raw("c.raw").toString(), "-", "rw", "64"),
            List.of("drive-add", "disk", folder + "/missing\n.raw", "-", "rw", "-"),
            List.of("drive-add", "disk", folder + "/empty.raw", "-", "rw", "-"),
            List.of("drive-add", "disk", "", "-", "rw", "-"),
            List.of("drive-add", "disk", file, "qcow2", "rw", "-"),
            List.of("drive-add", "disk", file, "vhdx", "ro", "-"),
            List.of("drive-add", "tape", file, "-", "rw", "-"),
            List.of("drive-add", "disk", file, "-", "x", "-"),
            List.of("drive-add", "disk", file, "-", "rw", "-1"),
            List.of("drive-add", "disk", "\0", "-", "rw", "-"),
            List.of("drive-add"),
            List.of("drive-remove"),
            List.of("drive-remove", "99999999999"),
            List.of("drive-eject", "5", "now"),
            List.of("drive-format", "5"))
        .forEach(
            words ->
                assertThat(ask(words.toArray(String[]::new)))
                    .as("%s", words)
                    .matches("error [^\\n]+\\n"));
    assertThat(requests.serve("drive-add %zz")).startsWith("error ");
    assertThat(list()).hasSize(1);
  }

  @Test
  void sixtyFourAreTheMost() {
    for (int i = 0; i < 64; i++) {
      assertThat(drives.add(DriveSettings.dvd(null))).isEqualTo(i);
    }
    assertThatThrownBy(() -> drives.add(DriveSettings.dvd(null)))
        .isInstanceOf(PartitionException.class)
        .hasMessageContaining("64 drives");
  }

  // --- life ---

  @Test
  void drivesOutliveTheMachine() throws Exception {
    drives.add(DriveSettings.disk(raw("a.raw")));
    drives.add(DriveSettings.dvd(null));
    drives.disconnect(controller);
    assertThat(list()).hasSize(2);
    assertThat(ask("drive-insert", "-", raw("b.iso").toString())).contains("not running");
    drives.add(DriveSettings.disk(raw("c.raw")));
    var next = new ScsiController(new UUID(1, 2), 0, Runnable::run);
    drives.connect(next);
    assertThat(next.state().units().keySet()).containsExactlyInAnyOrder(0, 1, 2);
    drives.close();
    drives.close();
    assertThat(ask("drive-add", "dvd", "", "-", "ro", "-")).contains("has ended");
  }

  @Test
  void machineThatBeginsAgainFindsWhatIsLeft() throws Exception {
    drives.add(DriveSettings.dvd(raw("a.iso")));
    drives.add(DriveSettings.disk(raw("b.raw")));
    drives.disconnect(controller);
    drives.remove(1);
    var next = new ScsiController(new UUID(1, 2), 0, Runnable::run);
    drives.connect(next);
    assertThat(next.state().units().keySet()).containsExactly(0);
    drives.eject(0, false);
    assertThat(list().getFirst().getLast()).isEmpty();
    drives.disconnect(next);
    var third = new ScsiController(new UUID(1, 2), 0, Runnable::run);
    drives.connect(third);
    assertThat(list().getFirst()).containsExactly("0", "dvd", "-", "ro", "0", "in", "0", "0", "");
    assertThat(ask("drive-insert", "-", folder + "/a.iso")).isEqualTo("ok 0\n");
  }

  @Test
  void openingIsAllOrNothing() throws Exception {
    var file = raw("a.raw");
    assertThatThrownBy(
            () ->
                drives.open(
                    List.of(
                        DriveSettings.disk(file),
                        DriveSettings.disk(folder.resolve("missing.raw")))))
        .isInstanceOf(PartitionException.class)
        .hasMessageContaining("no such file");
    Disks.open(file, true).close();
  }

  // --- identity ---

  private static Object identity(ScsiController controller, int lun) {
    return controller.detach(lun) instanceof ScsiDisk disk ? disk.identity() : "none";
  }

  @Test
  void noTwoDisksHaveTheSameIdentity() throws Exception {
    var parent = folder.resolve("parent.vhdx");
    Disks.create(parent, CreateOptions.of(DiskFormat.VHDX, DiskType.DYNAMIC, 1 << 20));
    for (var name : List.of("one.vhdx", "two.vhdx")) {
      Disks.create(folder.resolve(name), CreateOptions.differencing(DiskFormat.VHDX, parent));
    }
    var shared = raw("shared.raw");
    var readOnly = new DriveSettings(DriveSettings.Kind.DISK, shared, null, true, null);
    drives.add(
        new DriveSettings(DriveSettings.Kind.DISK, folder.resolve("one.vhdx"), null, false, 9));
    drives.add(DriveSettings.disk(folder.resolve("two.vhdx")));
    drives.add(readOnly);
    drives.add(readOnly);
    assertThat(
            List.of(
                identity(controller, 9),
                identity(controller, 0),
                identity(controller, 1),
                identity(controller, 2)))
        .doesNotHaveDuplicates();
  }

  @Test
  void identityStaysWithTheFile() throws Exception {
    var file = raw("a.raw");
    drives.add(DriveSettings.disk(file));
    var first = identity(controller, 0);
    drives.close();
    var again = new Drives();
    var next = new ScsiController(new UUID(1, 2), 0, Runnable::run);
    again.connect(next);
    try (again) {
      again.add(DriveSettings.dvd(null));
      again.add(DriveSettings.disk(file));
      assertThat(identity(next, 1)).isEqualTo(first);
    }
  }
}
