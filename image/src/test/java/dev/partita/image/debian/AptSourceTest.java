package dev.partita.image.debian;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.image.ImageException;
import dev.partita.image.Progress;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AptSourceTest {
  @TempDir Path directory;

  private final FakeApt apt = new FakeApt();
  private AptSource source;

  @BeforeEach
  void open() {
    source = new AptSource(apt, directory.resolve("apt"), true);
  }

  /// An apt that knows packages in the host's lists or, after an update, in the project's own.
  private static final class FakeApt implements Commands {
    final Map<String, String> hostLists = new LinkedHashMap<>();
    final Map<String, String> archive = new LinkedHashMap<>();
    final List<String> calls = new ArrayList<>();
    final List<String> stages = new ArrayList<>();
    boolean installed = true;
    boolean updated;
    String updateError = "";
    Result download = new Result(0, "", "");

    static void offer(Map<String, String> lists, String name, String depends) {
      lists.put(
          name,
          "Package: %s\nVersion: 1.0\nSize: 3\nSHA256: %s\nDepends: %s\n\n"
              .formatted(name, "0".repeat(64), depends));
    }

    @Override
    public boolean has(String program) {
      return installed;
    }

    @Override
    public Result run(List<String> command, Path where, Runnable tick) {
      List<String> words = new ArrayList<>(List.of(command.getFirst()));
      String options = "";
      for (int i = 1; i < command.size(); i++) {
        if (command.get(i).equals("-o")) {
          options += command.get(++i) + "\n";
        } else {
          words.add(command.get(i));
        }
      }
      boolean own = options.contains("Dir::State::lists");
      assertThat(options).contains("APT::Sandbox::User=root");
      assertThat(options.contains("APT::Architecture=amd64")).isEqualTo(own);
      calls.add((own ? "own " : "") + String.join(" ", words));
      if (words.contains("update")) {
        updated = updateError.isEmpty();
        return new Result(0, "", updateError);
      }
      if (words.contains("download")) {
        try {
          if (download.exit() == 0) {
            Files.writeString(where.resolve("some-name.deb"), "abc");
          }
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
        tick.run();
        tick.run();
        return download;
      }
      Map<String, String> lists = own ? updated ? archive : Map.of() : hostLists;
      StringBuilder out = new StringBuilder();
      for (String word : words) {
        out.append(lists.getOrDefault(word.replace(":amd64", ""), ""));
      }
      return new Result(100, out.toString(), "E: No packages found\n");
    }
  }

  private List<String> resolve(boolean fresh) throws ImageException {
    Progress progress = (stage, done, total) -> apt.stages.add(stage);
    return source.resolve(fresh, progress).stream().map(PackageRecord::name).toList();
  }

  private static void offerDebian(Map<String, String> lists) {
    FakeApt.offer(lists, "linux-image-cloud-amd64", "linux-image-6.1.0-56-cloud-amd64 (= 1.0)");
    FakeApt.offer(lists, "linux-image-amd64", "linux-image-6.1.0-56-amd64");
    FakeApt.offer(lists, "linux-image-6.1.0-56-cloud-amd64", "kmod, linux-base");
    FakeApt.offer(lists, "busybox-static", "");
  }

  @Test
  void theDaemonsForHyperVComeWithTheirLibrary() throws ImageException {
    offerDebian(apt.hostLists);
    FakeApt.offer(apt.hostLists, "hyperv-daemons", "libc6");
    assertThat(resolve(false)).as("no library").doesNotContain("hyperv-daemons");
    FakeApt.offer(apt.hostLists, "libc6", "");
    assertThat(resolve(false))
        .containsExactly(
            "linux-image-6.1.0-56-cloud-amd64", "busybox-static", "hyperv-daemons", "libc6");
    var packages = source.resolve(false, Progress.NONE);
    assertThat(source.isComplete(packages)).isTrue();
    assertThat(source.isComplete(packages.subList(0, 2))).isFalse();
  }

  @Test
  void ubuntusDaemonsAreThoseOfTheKernel() throws ImageException {
    FakeApt.offer(apt.hostLists, "linux-image-virtual", "linux-image-6.8.0-45-generic");
    FakeApt.offer(
        apt.hostLists, "linux-image-6.8.0-45-generic", "linux-modules-6.8.0-45-generic, kmod");
    FakeApt.offer(apt.hostLists, "linux-modules-6.8.0-45-generic", "");
    FakeApt.offer(apt.hostLists, "busybox-static", "");
    FakeApt.offer(apt.hostLists, "libc6", "");
    FakeApt.offer(apt.hostLists, "linux-cloud-tools-6.8.0-45", "libc6");
    FakeApt.offer(apt.hostLists, "linux-cloud-tools-6.8.0-44", "libc6");
    assertThat(resolve(false))
        .containsExactly(
            "linux-image-6.8.0-45-generic",
            "linux-modules-6.8.0-45-generic",
            "busybox-static",
            "linux-cloud-tools-6.8.0-45",
            "libc6");
  }

  @Test
  void debiansCloudKernelIsPreferredAndTheHostsListsServe() throws ImageException {
    offerDebian(apt.hostLists);

    assertThat(resolve(false))
        .containsExactly("linux-image-6.1.0-56-cloud-amd64", "busybox-static");
    assertThat(apt.calls).noneMatch(call -> call.startsWith("own"));
    assertThat(apt.stages).isEmpty();
  }

  @Test
  void ubuntusKernelComesWithItsModules() throws ImageException {
    FakeApt.offer(apt.hostLists, "linux-image-virtual", "linux-image-6.8.0-31-generic");
    FakeApt.offer(
        apt.hostLists,
        "linux-image-6.8.0-31-generic",
        "kmod, linux-base (>= 4.5), linux-modules-6.8.0-31-generic, wireless-regdb | x");
    FakeApt.offer(apt.hostLists, "linux-modules-6.8.0-31-generic", "");
    FakeApt.offer(apt.hostLists, "busybox-static", "");

    assertThat(resolve(false))
        .containsExactly(
            "linux-image-6.8.0-31-generic", "linux-modules-6.8.0-31-generic", "busybox-static");
  }

  @Test
  void aKernelWhosePartsAreNotOfferedIsPassedOver() throws ImageException {
    offerDebian(apt.hostLists);
    apt.hostLists.remove("linux-image-6.1.0-56-cloud-amd64");
    FakeApt.offer(apt.hostLists, "linux-image-6.1.0-56-amd64", "");

    assertThat(resolve(false)).containsExactly("linux-image-6.1.0-56-amd64", "busybox-static");
  }

  @Test
  void withoutListsOnesOfItsOwnAreFetchedAndItIsSaid() throws ImageException {
    offerDebian(apt.archive);

    assertThat(resolve(false)).contains("linux-image-6.1.0-56-cloud-amd64");
    assertThat(apt.calls).contains("own apt-get -q update");
    assertThat(apt.stages).singleElement().asString().contains("this machine has none");
  }

  @Test
  void aRefreshTakesTheNewestListsAtOnce() throws ImageException {
    offerDebian(apt.hostLists);
    offerDebian(apt.archive);

    resolve(true);

    assertThat(apt.calls.getFirst()).isEqualTo("own apt-get -q update");
    assertThat(apt.calls).allMatch(call -> call.startsWith("own"));
  }

  @Test
  void offlineIsOnePlainLine() {
    apt.updateError =
        "W: something\nW: Failed to fetch http://a/InRelease  Temporary failure resolving 'a'\nE: more\n";

    assertThatThrownBy(() -> resolve(false))
        .isInstanceOf(ImageException.class)
        .message()
        .isEqualTo(
            "cannot fetch the package lists: Failed to fetch http://a/InRelease  Temporary failure"
                + " resolving 'a'; connect this machine to its package archive and try again");
  }

  @Test
  void anArchiveWithoutAKernelIsOnePlainLine() {
    FakeApt.offer(apt.archive, "busybox-static", "");

    assertThatThrownBy(() -> resolve(false))
        .isInstanceOf(ImageException.class)
        .hasMessageContaining("offer no kernel for an amd64 guest")
        .hasMessageContaining("name a kernel and a RAM disk of your own");
  }

  @Test
  void aMachineWithoutAptIsToldSo() {
    apt.installed = false;

    assertThatThrownBy(() -> resolve(false))
        .isInstanceOf(ImageException.class)
        .hasMessageContaining("no apt-get");
  }

  @Test
  void fetchingAsksForTheExactVersionAndTellsHowFarItIs() throws Exception {
    offerDebian(apt.hostLists);
    PackageRecord kernel = source.resolve(false, Progress.NONE).getFirst();
    List<Long> done = new ArrayList<>();
    Path download = Files.createDirectories(directory.resolve("download"));

    Path file = source.fetch(kernel, download, done::add);

    assertThat(file).hasContent("abc").hasParent(download);
    assertThat(done).containsExactly(3L);
    assertThat(apt.calls.getLast())
        .isEqualTo("apt-get -q download linux-image-6.1.0-56-cloud-amd64:amd64=1.0");
  }

  @Test
  void whatTheHostsListsPromisedInVainIsStaleButOneOfOursIsNot() throws Exception {
    offerDebian(apt.hostLists);
    offerDebian(apt.archive);
    apt.download =
        new Commands.Result(100, "", "E: Failed to fetch http://a/b.deb  404  Not Found\n");
    Path download = Files.createDirectories(directory.resolve("download"));

    PackageRecord kernel = source.resolve(false, Progress.NONE).getFirst();
    assertThatThrownBy(() -> source.fetch(kernel, download, done -> {}))
        .isInstanceOf(PackageSource.StaleListException.class);
    source.resolve(true, Progress.NONE);
    assertThatThrownBy(() -> source.fetch(kernel, download, done -> {}))
        .isInstanceOf(ImageException.class)
        .isNotInstanceOf(PackageSource.StaleListException.class)
        .hasMessageContaining("404");
  }
}
