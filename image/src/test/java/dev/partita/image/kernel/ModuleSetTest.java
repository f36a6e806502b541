package dev.partita.image.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.image.SamplePackages;
import dev.partita.image.archive.MalformedArchiveException;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ModuleSetTest {
  private static ModuleInfo module(String path, String modinfo) throws MalformedArchiveException {
    return ModuleInfo.of(path, SamplePackages.module(modinfo));
  }

  private static ModuleSet sample() throws MalformedArchiveException {
    return new ModuleSet(
        List.of(
            module("kernel/fs/xfs.ko", "license=GPL\0alias=fs-xfs\0depends=libcrc32c\0"),
            module("kernel/lib/libcrc32c.ko", "softdep=pre: crypto-crc32c\0depends=\0"),
            module(
                "kernel/crypto/crc32c-intel.ko", "alias=crypto-crc32c\0alias=crc32c\0depends=\0"),
            module("kernel/net/top.ko", "depends=left,right\0"),
            module("kernel/net/left.ko", "depends=base-part\0"),
            module("kernel/net/right.ko", "depends=left,base-part\0"),
            module("kernel/net/base-part.ko", "depends=\0"),
            module("kernel/x/egg.ko", "depends=hen\0"),
            module("kernel/x/hen.ko", "depends=egg,gone\0")));
  }

  @Test
  void theSectionIsReadFieldByField() throws MalformedArchiveException {
    ModuleInfo info =
        module(
            "kernel/a/hid-x.ko",
            "depends=hid-core,usb\0alias=a*b\0alias=c\0softdep=post: d e\0x\0");

    assertThat(info)
        .isEqualTo(
            new ModuleInfo(
                "kernel/a/hid-x.ko",
                "hid_x",
                List.of("hid_core", "usb"),
                List.of("d", "e"),
                List.of("a*b", "c")));
  }

  @Test
  void aModuleComesWithAllItNeedsHardOrSoft() throws MalformedArchiveException {
    assertThat(sample().closureOf(List.of("xfs", "ext4")).modules())
        .extracting(ModuleInfo::name)
        .containsExactly("crc32c_intel", "libcrc32c", "xfs");
  }

  @Test
  void dependenciesLoadFromTheLastToTheFirst() throws MalformedArchiveException {
    assertThat(sample().closureOf(List.of("top", "base-part")).dependencyIndex())
        .isEqualTo(
            """
            kernel/net/base-part.ko:
            kernel/net/left.ko: kernel/net/base-part.ko
            kernel/net/right.ko: kernel/net/left.ko kernel/net/base-part.ko
            kernel/net/top.ko: kernel/net/right.ko kernel/net/left.ko kernel/net/base-part.ko
            """);
  }

  @Test
  void aCircleOfDependenciesEnds() throws MalformedArchiveException {
    assertThat(sample().closureOf(List.of("hen")).dependencyIndex())
        .isEqualTo("kernel/x/egg.ko: kernel/x/hen.ko\nkernel/x/hen.ko: kernel/x/egg.ko\n");
  }

  @Test
  void aliasesNameTheirModule() throws MalformedArchiveException {
    assertThat(sample().closureOf(List.of("xfs")).aliasIndex())
        .isEqualTo(
            "alias crypto-crc32c crc32c_intel\nalias crc32c crc32c_intel\nalias fs-xfs xfs\n");
  }

  @Test
  void mutatedModulesGiveAnAnswerOrTheOneException() {
    byte[] good = SamplePackages.module("depends=a,b\0alias=c\0");
    Random random = new Random(7);
    int refused = 0;
    for (int round = 0; round < 20_000; round++) {
      byte[] bad =
          Arrays.copyOf(good, random.nextInt(4) == 0 ? random.nextInt(good.length) : good.length);
      for (int i = random.nextInt(4); i >= 0 && bad.length > 0; i--) {
        bad[random.nextInt(bad.length)] = (byte) random.nextInt(256);
      }
      try {
        ModuleInfo.of("x.ko", bad);
      } catch (MalformedArchiveException e) {
        refused++;
      }
    }
    assertThat(refused).isBetween(2_000, 20_000);
  }

  @Test
  void whatIsNoModuleIsRefused() {
    assertThatThrownBy(() -> ModuleInfo.of("x.ko", new byte[100]))
        .isInstanceOf(MalformedArchiveException.class)
        .hasMessageContaining("not a 64-bit kernel module");
  }
}
