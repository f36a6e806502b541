package dev.partita.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.hypervisor.PartitionException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.opentest4j.TestAbortedException;

/// Hosts on which KVM is not to be had.
class MissingKvmTest {
  @TempDir Path folder;

  private static KvmEngine on(Path device) {
    return new KvmEngine(device, DirtyTracking.AUTOMATIC);
  }

  @Test
  void aMissingDeviceIsSaidInOneLineWithWhatToDo() {
    var device = folder.resolve("kvm");
    assertThatThrownBy(on(device)::supportedCpuid)
        .isInstanceOf(PartitionException.class)
        .hasMessageStartingWith("KVM: open " + device + ": No such file or directory (errno 2): ")
        .hasMessageContaining("--engine software")
        .message()
        .doesNotContain("\n");
    assertThatThrownBy(on(device)::tscFrequency).isInstanceOf(PartitionException.class);
  }

  @Test
  void theSelfTestSaysThatItIsMissing() {
    var device = folder.resolve("kvm");
    var result = on(device).selfTest();
    assertThat(result.works()).isFalse();
    assertThat(result.reason()).contains(device.toString()).contains("No such file");
  }

  @Test
  void anotherFileInItsPlaceIsNotTakenForKvm() throws Exception {
    var device = Files.createFile(folder.resolve("file"));
    assertThatThrownBy(on(device)::supportedCpuid)
        .isInstanceOf(PartitionException.class)
        .hasMessageContaining("KVM_GET_API_VERSION: Inappropriate ioctl for device (errno 25)")
        .hasMessageContaining("is not KVM's device");
    assertThat(on(Path.of("/dev/null")).selfTest().works()).isFalse();
  }

  @Test
  void aForbiddenDeviceTellsHowToGetAtIt() {
    assertThat(KvmHost.adviceForOpen(Posix.EACCES)).contains("usermod -aG kvm");
    assertThat(KvmHost.adviceForOpen(Posix.EMFILE)).contains("ulimit -n");
    assertThat(KvmHost.adviceForOpen(Posix.ENOENT)).contains("--engine software");
  }

  @Test
  void testsThatNeedItAreSkippedWithTheReason() {
    var device = folder.resolve("kvm");
    assertThatThrownBy(() -> TestEngines.assumeThere(on(device)))
        .isInstanceOf(TestAbortedException.class)
        .hasMessageContaining("skipped: KVM: open " + device + ": No such file");
    assertThatThrownBy(() -> TestEngines.assumeWorkingKvm(on(device), "SYSCALL is broken"))
        .isInstanceOf(TestAbortedException.class)
        .hasMessageContaining("skipped: SYSCALL is broken; ");
  }

  @Test
  void thePropertyNamesTheDevice() {
    var before = System.getProperty(KvmEngine.DEVICE_PROPERTY);
    System.setProperty(KvmEngine.DEVICE_PROPERTY, "/elsewhere/kvm");
    try {
      assertThat(new KvmEngine().device()).isEqualTo(Path.of("/elsewhere/kvm"));
    } finally {
      if (before == null) {
        System.clearProperty(KvmEngine.DEVICE_PROPERTY);
      } else {
        System.setProperty(KvmEngine.DEVICE_PROPERTY, before);
      }
    }
  }

  @Test
  void everyCallsErrorHasItsNameItsNumberAndAnAdvice() {
    for (var ioctl : Ioctl.values()) {
      for (int errno :
          new int[] {
            Posix.EPERM,
            Posix.EBADF,
            Posix.EAGAIN,
            Posix.ENOMEM,
            Posix.EACCES,
            Posix.EFAULT,
            Posix.EBUSY,
            Posix.EEXIST,
            Posix.ENODEV,
            Posix.EINVAL,
            Posix.ENFILE,
            Posix.EMFILE,
            Posix.ENOTTY,
            Posix.ENOSPC,
            Posix.EOPNOTSUPP
          }) {
        assertThat(KvmException.of(ioctl, errno).getMessage())
            .matches(ioctl.name() + ": [A-Z].* \\(errno " + errno + "\\): [a-z].{20,}");
      }
    }
  }
}
