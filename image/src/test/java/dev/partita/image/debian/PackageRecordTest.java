package dev.partita.image.debian;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;

class PackageRecordTest {
  private static final String DIGEST =
      "00be21c0c17f08ddf26e82d3b53fe7a41efa4a288938da6bb69e89c4b25c281d";

  @Test
  void stanzasAreReadWithTheirDependencies() {
    List<PackageRecord> records =
        PackageRecord.parse(
            """
            Package: linux-image-cloud-amd64
            Version: 6.1.192-2
            Depends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2), kmod:any | module-init-tools,
             linux-base (>= 4.3~)
            Description: Linux for
             x86-64: Size: 7
            Size: 1504
            SHA256: %s

            Package: other
            Version: 1:2.0~rc1+b1
            Size: 1
            SHA256: %s
            """
                .formatted(DIGEST, DIGEST.toUpperCase(Locale.ROOT)));

    assertThat(records)
        .containsExactly(
            new PackageRecord(
                "linux-image-cloud-amd64",
                "6.1.192-2",
                1504,
                DIGEST,
                List.of("linux-image-6.1.0-56-cloud-amd64", "kmod", "linux-base")),
            new PackageRecord("other", "1:2.0~rc1+b1", 1, DIGEST, List.of()));
    assertThat(records.get(1).fileName()).isEqualTo("other_1%3a2.0~rc1+b1_amd64.deb");
  }

  @Test
  void stanzasThatCannotBeDownloadedOrTrustedAreLeftOut() {
    String good = "Package: a\nVersion: 1\nSize: 1\nSHA256: " + DIGEST + "\n";
    assertThat(PackageRecord.parse(good)).hasSize(1);

    assertThat(PackageRecord.parse(good.replace("SHA256", "MD5sum"))).isEmpty();
    assertThat(PackageRecord.parse(good.replace("Package: a", "Package: ../../a"))).isEmpty();
    assertThat(PackageRecord.parse(good.replace("Package: a", "Package: -oDir"))).isEmpty();
    assertThat(PackageRecord.parse(good.replace("Version: 1", "Version: 1/../2"))).isEmpty();
    assertThat(PackageRecord.parse(good.replace("Size: 1", "Size: 1e9"))).isEmpty();
    assertThat(PackageRecord.parse(good.replace("Size: 1", "Size: 99999999999999"))).isEmpty();
    assertThat(PackageRecord.parse(good.replace(DIGEST, "00"))).isEmpty();
    assertThat(PackageRecord.parse("")).isEmpty();
    assertThat(PackageRecord.parse("N: no such package\n: :\n\n\n::\n")).isEmpty();
  }
}
