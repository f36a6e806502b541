package dev.partita.image.boot;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BootEntriesTest {
  /// Of the form that grub-mkconfig writes on Debian and Ubuntu.
  private static final String GRUB =
      """
      if [ -s $prefix/grubenv ]; then
        set have_grubenv=true
        load_env
      fi
      if [ "${next_entry}" ] ; then
         set default="${next_entry}"
         set next_entry=
      else
         set default="%s"
      fi
      function gfxmode {
        set gfxpayload="${1}"
      }
      menuentry 'One' --class debian --class os $menuentry_id_option 'gnulinux-simple' {
      \tload_video
      \tif [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
      \tif [ x$feature_platform_search_hint = xy ]; then
      \t  search --no-floppy --fs-uuid --set=root --hint-bios=hd0,gpt1 aaaa-bbbb
      \telse
      \t  search --no-floppy --fs-uuid --set=root aaaa-bbbb
      \tfi
      \techo 'Loading Linux ...'
      \tlinux /vmlinuz-2 root=PARTUUID=1 ro  console=ttyS0,115200 $vt_handoff
      \tinitrd /microcode.img /initrd-2
      }
      submenu 'More' $menuentry_id_option 'gnulinux-advanced' {
      \tmenuentry 'Two' $menuentry_id_option 'gnulinux-2' {
      \t\tlinux ($root)/vmlinuz-2 "a b"
      \t}
      \tmenuentry 'Three' --id three {
      \t\tlinuxefi /vmlinuz-1 single\\
       quiet
      \t\tinitrdefi /initrd-1
      \t}
      }
      menuentry 'Firmware' {
      \tfwsetup
      }
      """;

  @ParameterizedTest
  @CsvSource({
    "0,gnulinux-simple",
    "'',gnulinux-simple",
    "1>1,three",
    "1,gnulinux-2",
    "gnulinux-advanced>three,three",
    "More>Three,three",
    "three,three",
    "Two,gnulinux-2",
    "99,gnulinux-simple",
    "${saved_entry},three"
  })
  void theDefaultIsANumberATitleOrAnId(String standard, String id) {
    var menu =
        GrubConfiguration.parse(
            GRUB.replace("%s", standard), Map.of("saved_entry", "gnulinux-advanced>three"));
    assertThat(menu.entries())
        .extracting(LoaderEntry::id)
        .containsExactly("gnulinux-simple", "gnulinux-2", "three");
    assertThat(menu.inOrder().getFirst().id()).isEqualTo(id);
    assertThat(menu.inOrder()).hasSize(3);
  }

  @Test
  void anEntrysLinesAreRead() {
    var entries = GrubConfiguration.parse(GRUB, Map.of()).entries();
    var one = entries.getFirst();
    assertThat(one.title()).isEqualTo("One");
    assertThat(one.kernel()).isEqualTo("/vmlinuz-2");
    assertThat(one.initrds()).containsExactly("/microcode.img", "/initrd-2");
    assertThat(one.options()).isEqualTo("root=PARTUUID=1 ro console=ttyS0,115200");
    assertThat(one.volume()).isEqualTo("aaaa-bbbb");
    assertThat(entries.get(1).kernel()).as("without its device").isEqualTo("/vmlinuz-2");
    assertThat(entries.get(2).options()).isEqualTo("single quiet");
  }

  @Test
  void anEnvironmentBlockIsRead() {
    String block =
        "# GRUB Environment Block\nsaved_entry=abc\nkernelopts=root=x ro\n" + "#".repeat(900);
    assertThat(GrubConfiguration.environment(block))
        .isEqualTo(Map.of("saved_entry", "abc", "kernelopts", "root=x ro"));
    assertThat(GrubConfiguration.environment("saved_entry=abc")).isEmpty();
  }

  @Test
  void aLoaderEntryIsRead() {
    var entry =
        LoaderEntry.parse(
                "machine-6.9.conf",
                """
                # Fedora's form
                title Fedora Linux (6.9) 40
                version 6.9.1-200.fc40.x86_64
                linux /vmlinuz-6.9
                initrd /initramfs-6.9.img $tuned_initrd
                options root=UUID=1 ro $kernelopts ${tuned_params}
                options quiet
                grub_users $grub_users
                """,
                Map.of("kernelopts", "console=ttyS0"))
            .orElseThrow();
    assertThat(entry)
        .isEqualTo(
            new LoaderEntry(
                "machine-6.9",
                "Fedora Linux (6.9) 40",
                "6.9.1-200.fc40.x86_64",
                "/vmlinuz-6.9",
                List.of("/initramfs-6.9.img"),
                "root=UUID=1 ro console=ttyS0 quiet",
                ""));
    assertThat(LoaderEntry.parse("efi.conf", "title Shell\nefi /shell.efi\n", Map.of())).isEmpty();
  }
}
