//! Mesh formats, file names, and files that are not what their name says.

mod hand;

use framefair_blend::{
    BlenderVersion, Compression, FILE_NAME_MAX, Format, Scene, SceneRefused, inspect,
    safe_file_name,
};
use hand::{Shape, gzip, zstd};

fn read(name: &str, file: &[u8]) -> Result<Scene, SceneRefused> {
    inspect(name, file, file.len() as u64)
}

fn stl(triangles: u32) -> Vec<u8> {
    let mut file = vec![b' '; 80];
    file[..5].copy_from_slice(b"solid");
    file.extend(triangles.to_le_bytes());
    file.extend(vec![0; 50 * triangles as usize]);
    file
}

fn glb(json: &str) -> Vec<u8> {
    let mut file = b"glTF".to_vec();
    file.extend(2_u32.to_le_bytes());
    file.extend((20 + json.len() as u32).to_le_bytes());
    file.extend((json.len() as u32).to_le_bytes());
    file.extend(b"JSON");
    file.extend(json.as_bytes());
    file
}

fn fbx(version: u32) -> Vec<u8> {
    [b"Kaydara FBX Binary  \0\x1a\0".as_slice(), &version.to_le_bytes(), &[0; 32]].concat()
}

const OBJ: &str = "# Blender\n\nmtllib a.mtl\no Cube\nv 1.0 -2 3e-4\nv 0 0 1 1 0.5 0.5\nv 0 1 0\nvn 0 0 1\nf 1//1 2//1 \\\n 3//1\n";
const GLTF: &str =
    r#"{"asset":{"version":"2.0"},"buffers":[{"byteLength":3,"uri":"data:;base64,AAAA"}]}"#;
const DAE: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- by hand -->\n<COLLADA xmlns=\"http://www.collada.org/2005/11/COLLADASchema\" version=\"1.4.1\"><asset/></COLLADA>\n";
const STL_TEXT: &str =
    "solid cube\n facet normal 0 0 1\n  outer loop\n  endloop\n endfacet\nendsolid cube\n";
const FBX_TEXT: &str = "; FBX 7.7.0 project file\n; ----\n\nFBXHeaderExtension:  {\n}\n";

#[test]
fn each_format_is_known_by_name_and_content() {
    let table: [(&str, Vec<u8>, Format); 9] = [
        ("a.obj", OBJ.into(), Format::Obj),
        ("a.stl", stl(2), Format::Stl),
        ("a.stl", STL_TEXT.into(), Format::Stl),
        ("A.FBX", fbx(7400), Format::Fbx),
        ("a.fbx", FBX_TEXT.into(), Format::Fbx),
        ("a.gltf", GLTF.into(), Format::Gltf),
        ("a.glb", glb(GLTF), Format::Glb),
        ("a.dae", DAE.into(), Format::Dae),
        ("C:\\dir.x\\a b.Blend", Shape::V304.file(1, 2, "S"), Format::Blend),
    ];
    for (name, file, format) in &table {
        let scene = read(name, file).unwrap_or_else(|refused| panic!("{name}: {refused}"));
        assert_eq!(scene.format, *format);
        assert_eq!(scene.compression, Compression::None);
        assert_eq!(scene.frames.is_some(), *format == Format::Blend);
    }
    // Any of these under the name of another format is refused.
    for (_, file, is) in &table {
        for format in Format::ALL.into_iter().filter(|format| format != is) {
            let refused = read(&format!("a{format}"), file).unwrap_err();
            assert!(
                matches!(refused, SceneRefused::NotWhatItsNameSays { format: named, .. } if named == format),
                "{is} named {format}: {refused:?}"
            );
        }
    }
}

#[test]
fn fbx_as_text_asks_for_a_blender_that_reads_it() {
    let scene = read("a.fbx", FBX_TEXT.as_bytes()).unwrap();
    assert_eq!(scene.blender, Some(BlenderVersion { major: 4, minor: 5 }));
    assert_eq!(read("a.fbx", &fbx(7400)).unwrap().blender, None);
}

#[test]
fn files_that_are_no_scene_are_refused_under_every_name() {
    let table: [&[u8]; 13] = [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"\xff\xd8\xff\xe0\0\x10JFIF",
        b"PK\x03\x04\x14\0\0\0",
        b"<!DOCTYPE html><html><body>not found</body></html>",
        b"<?xml version=\"1.0\"?><svg/>",
        b"hello, this is a letter\nsecond line\n",
        b"\0\0\0\0\0\0\0\0",
        b"\x7fELF\x02\x01\x01",
        b"[1, 2, 3]",
        b"%PDF-1.7",
        b"v",
        b"BLEND",
        b"glT",
    ];
    for content in table {
        for format in Format::ALL {
            let refused = read(&format!("a{format}"), content).expect_err("no scene");
            assert!(
                matches!(refused, SceneRefused::NotWhatItsNameSays { .. }),
                "{format}: {refused:?}"
            );
        }
    }
    for packed in [zstd(b"no scene at all"), gzip(b"no scene at all"), gzip(&zstd(b"BLENDER-v304"))]
    {
        assert!(matches!(read("a.blend", &packed), Err(SceneRefused::NotWhatItsNameSays { .. })));
    }
}

#[test]
fn unknown_extensions_and_empty_files_are_refused() {
    for name in [
        "a.png",
        "a",
        "",
        "blend",
        "a.blend1",
        "a.blend.",
        "a.blend/",
        "a.blend ",
        "a.max",
        ".",
        "a.ｂlend",
    ] {
        assert!(matches!(read(name, b"x"), Err(SceneRefused::UnknownExtension { .. })), "{name}");
    }
    for format in Format::ALL {
        assert_eq!(read(&format!("a{format}"), b""), Err(SceneRefused::Empty));
    }
}

#[test]
fn meshes_cut_short_are_refused() {
    let table: [(&str, Vec<u8>); 6] = [
        ("a.stl", stl(9)[..400].to_vec()),
        ("a.stl", STL_TEXT[..40].into()),
        ("a.glb", glb(GLTF)[..60].to_vec()),
        ("a.gltf", GLTF[..40].into()),
        ("a.dae", DAE[..150].into()),
        ("a.fbx", fbx(7400)[..25].to_vec()),
    ];
    for (name, file) in table {
        // Zeros make up a cut binary .stl that no longer looks like text.
        let file = if name == "a.stl" && file[5] == b' ' && file.len() > 100 {
            [&[0; 80], &file[80..]].concat()
        } else {
            file
        };
        assert!(
            matches!(read(name, &file), Err(SceneRefused::Truncated { .. })),
            "{name}: {:?}",
            read(name, &file)
        );
    }
}

#[test]
fn meshes_with_nothing_in_them_are_refused() {
    let table: [(&str, &[u8]); 3] = [
        ("a.obj", b"# only a comment\no Nothing\n"),
        ("a.stl", b"solid nothing\nendsolid nothing\n"),
        ("a.stl", &stl(0)),
    ];
    for (name, file) in table {
        assert!(matches!(read(name, file), Err(SceneRefused::NothingInside { .. })), "{name}");
    }
}

#[test]
fn strange_meshes_are_refused() {
    for line in ["v 1 2", "v 1 2 nan", "v a b c", "vertex 1 2 3", "import os", "v 1 2 3\0"] {
        let file = format!("v 0 0 0\n{line}\n");
        assert!(
            matches!(read("a.obj", file.as_bytes()), Err(SceneRefused::NotWhatItsNameSays { .. })),
            "{line}"
        );
    }
    let trailing = [glb(GLTF), b"more".to_vec()].concat();
    assert!(matches!(read("a.glb", &trailing), Err(SceneRefused::Damaged { .. })));
    assert!(matches!(read("a.glb", &glb("nonsense")), Err(SceneRefused::Damaged { .. })));
    let doctype = DAE.replace("<!-- by hand -->", "<!DOCTYPE lol [<!ENTITY lol \"lol\">]>");
    assert!(matches!(
        read("a.dae", doctype.as_bytes()),
        Err(SceneRefused::NotWhatItsNameSays { .. })
    ));
}

#[test]
fn old_versions_of_mesh_formats_are_refused() {
    let table: [(&str, Vec<u8>); 5] = [
        ("a.fbx", fbx(6100)),
        ("a.glb", [b"glTF", &1_u32.to_le_bytes()[..], &20_u32.to_le_bytes(), &[0; 8]].concat()),
        ("a.glb", glb(&GLTF.replace("2.0", "1.0"))),
        ("a.gltf", GLTF.replace("2.0", "1.0").into()),
        ("a.dae", DAE.replace("version=\"1.4.1\"", "version=\"1.3\"").into()),
    ];
    for (name, file) in table {
        assert!(
            matches!(read(name, &file), Err(SceneRefused::UnsupportedVersion { .. })),
            "{name}"
        );
    }
}

#[test]
fn a_gltf_with_parts_in_other_files_is_refused() {
    for part in ["mesh.bin", "../../etc/passwd", "http://example.com/a.png", "file:///a"] {
        for (name, file) in [
            (
                "a.gltf",
                format!(r#"{{"asset":{{"version":"2.0"}},"buffers":[{{"uri":"{part}"}}]}}"#)
                    .into_bytes(),
            ),
            (
                "a.glb",
                glb(&format!(r#"{{"asset":{{"version":"2.0"}},"images":[{{"uri":"{part}"}}]}}"#)),
            ),
        ] {
            let refused = read(name, &file).unwrap_err();
            assert_eq!(
                refused,
                SceneRefused::MissingParts {
                    format: name[1..].parse().unwrap(),
                    part: part.into()
                }
            );
        }
    }
}

#[test]
fn every_refusal_says_what_why_and_what_to_do() {
    let all = [
        read("a.blend", b"").unwrap_err(),
        read("a.png", b"x").unwrap_err(),
        read("a.blend", b"\x89PNG").unwrap_err(),
        read("a.blend", b"BLENDER-v304").unwrap_err(),
        read("a.blend", &Shape::V304.file(2, 1, "S")).unwrap_err(),
        read("a.blend", b"\x28\xb5\x2f\xfdnonsense").unwrap_err(),
        read("a.fbx", &fbx(5000)).unwrap_err(),
        read("a.obj", b"# none").unwrap_err(),
    ];
    for refused in all {
        let text = refused.to_string();
        assert!(
            text.len() > 60 && text.ends_with('.') && text.is_ascii() | text.contains('±'),
            "{text}"
        );
        assert!(
            ["Save", "save", "Send", "send", "Export", "export"]
                .iter()
                .any(|verb| text.contains(verb)),
            "{text}"
        );
    }
}

#[test]
fn formats_and_versions_are_the_same_in_text_and_back() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
        let json = serde_json::to_string(&format).unwrap();
        assert_eq!(json, format!("\"{}\"", format.extension()));
        assert_eq!(serde_json::from_str::<Format>(&json).unwrap(), format);
    }
    assert!("blend".parse::<Format>().is_err());
    assert_eq!("3.4.1".parse(), Ok(BlenderVersion { major: 3, minor: 4 }));
    assert_eq!("2.79".parse::<BlenderVersion>().unwrap().to_string(), "2.79");
    for bad in ["", "3", "3.", ".4", "3.4.1.2", "3,4", "+3.4", "3.x", "99999.1"] {
        assert!(bad.parse::<BlenderVersion>().is_err(), "{bad}");
    }
}

#[test]
fn file_names_become_harmless_and_stay_recognisable() {
    let table = [
        ("scene.blend", "scene.blend"),
        ("My Scene (2).blend", "My_Scene__2_.blend"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.obj", "a.obj"),
        (".blend", "scene.blend"),
        ("...", "scene"),
        ("", "scene"),
        ("/", "scene"),
        ("-rf.blend", "rf.blend"),
        ("a.blend\0.png", "a.blend_.png"),
        ("a\r\nSet-Cookie: x.stl", "a__Set-Cookie__x.stl"),
        ("\u{202e}dnelb.exe", "_dnelb.exe"),
        ("con.blend", "_con.blend"),
        ("COM1.glb", "_COM1.glb"),
        ("a..blend", "a.blend"),
        ("a.blend.", "a.blend"),
        ("\"; rm -rf ~;\".fbx", "___rm_-rf____.fbx"),
    ];
    for (hostile, safe) in table {
        assert_eq!(safe_file_name(hostile), safe, "{hostile:?}");
    }
    let long = format!("{}.blend", "x".repeat(500));
    assert_eq!(safe_file_name(&long).len(), FILE_NAME_MAX);
    assert!(safe_file_name(&long).ends_with("x.blend"));
}
